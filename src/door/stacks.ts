/** What the door offers for stacks: the types of `stacks`. */
import type { LayerId } from '../core/ids.ts';
import type { BuildResult, BuildStackOptions } from '../images/build-stack.ts';
import type { DiffStackOptions, StackDiff } from '../images/diff-stack.ts';
import type { CommitTaskOptions } from '../images/exchange/commit-task.ts';
import type { ExportedStack, ExportStackOptions } from '../images/exchange/export-stack.ts';
import type { ImportStackOptions, PublishedStack } from '../images/exchange/import-stack.ts';
import type { LoadedStacks, LoadStacksOptions } from '../images/exchange/load-stacks.ts';
import type { PushedStack, PushStackOptions } from '../images/exchange/push-stack.ts';
import type { SavedStacks, SaveStacksOptions } from '../images/exchange/save-stacks.ts';
import type { RemovedStack } from '../images/remove-stacks.ts';
import type { UpdateReport, UpdateStacksOptions } from '../images/update-stacks.ts';
import type { DamageListener } from '../stacks/current-stacks.ts';
import type { StackDetails, StackSummary } from '../stacks/list-stacks.ts';
import type { ReleaseResult } from '../stacks/release.ts';
import type { StackMove } from '../stacks/rollback.ts';
import type { GraphNode } from '../stacks/stack-graph.ts';
import type { HistoryEntry, ReleaseEntry } from '../stacks/stack-history.ts';

/** Without what the door itself brings. */
type Asked<Options, Named extends PropertyKey = never> = Omit<
  Options,
  'system' | 'runSmoke' | 'clock' | 'env' | 'lockWaitMs' | Named
>;

/** Where a stack, or all of them, are to go back to; default: one step. */
export interface RollbackTarget {
  readonly to?: number | undefined;
}

/** The stacks of one installation. Names are plain text. Each member throws the codes that its command of the command line ends with. */
export interface Stacks {
  /** Every stack, by name. With `onDamage` those that cannot be read are told of and left out; without it the first one rejects. */
  list(onDamage?: DamageListener): Promise<readonly StackSummary[]>;
  show(name: string): Promise<StackDetails>;
  history(name: string): Promise<readonly HistoryEntry[]>;
  graph(onDamage?: DamageListener): Promise<readonly GraphNode[]>;
  diff(name: string, range?: Asked<DiffStackOptions, 'stack'>): Promise<StackDiff>;
  /** A directory with a Dockerfile becomes the current revision of the stack that has the directory's name. */
  build(directory: string, options?: Asked<BuildStackOptions>): Promise<BuildResult>;
  /** Builds stacks again; without `names` all of them. */
  update(
    options?: Asked<UpdateStacksOptions, 'names'> & {
      readonly names?: readonly string[] | undefined;
    },
  ): Promise<UpdateReport>;
  importFrom(
    name: string,
    reference: string,
    options?: Asked<ImportStackOptions, 'stack' | 'reference'>,
  ): Promise<PublishedStack>;
  exportTo(
    stack: string,
    file: string,
    options?: Asked<ExportStackOptions, 'stack' | 'file'>,
  ): Promise<ExportedStack>;
  push(
    stack: string,
    reference: string,
    options?: Asked<PushStackOptions, 'stack' | 'reference'>,
  ): Promise<PushedStack>;
  /** What a kept task wrote becomes one more layer of the image it ran on. */
  commit(
    task: string,
    name: string,
    options?: Asked<CommitTaskOptions, 'task' | 'stack'>,
  ): Promise<PublishedStack>;
  rollback(name: string, target?: RollbackTarget): Promise<StackMove>;
  /** All of them or none, for good. */
  remove(names: readonly string[]): Promise<readonly RemovedStack[]>;
  releases(most: number): Promise<readonly ReleaseEntry[]>;
  /** Moves every stack that the text of a release's file names, or none. `label` is for people: the file's name. */
  applyRelease(text: string, label: string): Promise<ReleaseResult>;
  rollbackRelease(target?: RollbackTarget): Promise<ReleaseResult>;
  /** Writes stacks as one signed file; `load` takes it. */
  save(
    stacks: readonly string[],
    options: Asked<SaveStacksOptions, 'stacks'>,
  ): Promise<SavedStacks>;
  load(options: Asked<LoadStacksOptions>): Promise<LoadedStacks>;
  /** The layers that are here, whole: what another machine need not put into a saved file. */
  heldLayers(): Promise<readonly LayerId[]>;
}
