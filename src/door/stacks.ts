/** The types of the door's `stacks`. */

import type { BuildResult, BuildStackOptions } from '../build/build-stack.ts';
import type { UpdateReport, UpdateStacksOptions } from '../build/update-stacks.ts';
import type { LayerId } from '../core/ids.ts';
import type { CommitTaskOptions } from '../exchange/commit-task.ts';
import type { ExportedStack, ExportStackOptions } from '../exchange/export-stack.ts';
import type { ImportStackOptions, PublishedStack } from '../exchange/import-stack.ts';
import type { PushedStack, PushStackOptions } from '../exchange/push-stack.ts';
import type { LoadedStacks, LoadStacksOptions } from '../exchange/saves/load-stacks.ts';
import type { SavedStacks, SaveStacksOptions } from '../exchange/saves/save-stacks.ts';
import type { DiffStackOptions, StackDiff } from '../store/diff/diff-stack.ts';
import type { DamageListener } from '../store/stacks/current-stacks.ts';
import type { StackDetails, StackSummary } from '../store/stacks/list-stacks.ts';
import type { ReleaseResult } from '../store/stacks/release.ts';
import type { StackMove } from '../store/stacks/rollback.ts';
import type { GraphNode } from '../store/stacks/stack-graph.ts';
import type { HistoryEntry, ReleaseEntry } from '../store/stacks/stack-history.ts';
import type { RemovedStack } from '../upkeep/remove-stacks.ts';

/** The options of an operation without those that the door sets. */
type Asked<Options, Named extends PropertyKey = never> = Omit<
  Options,
  'system' | 'runSmoke' | 'clock' | 'env' | 'lockWaitMs' | Named
>;

/** The revision or generation to return to. Default: the previous one. */
export interface RollbackTarget {
  readonly to?: number | undefined;
}

/** The stacks of one installation. Names are plain text. Each member throws the error codes of the corresponding command. */
export interface Stacks {
  /** Every stack, by name. With `onDamage`, stacks that cannot be read are reported to it and left out; without it, the first one rejects. */
  list(onDamage?: DamageListener): Promise<readonly StackSummary[]>;
  show(name: string): Promise<StackDetails>;
  history(name: string): Promise<readonly HistoryEntry[]>;
  graph(onDamage?: DamageListener): Promise<readonly GraphNode[]>;
  diff(name: string, range?: Asked<DiffStackOptions, 'stack'>): Promise<StackDiff>;
  /** Builds a directory with a Dockerfile; the image becomes the current revision of the stack with the directory's name. */
  build(directory: string, options?: Asked<BuildStackOptions>): Promise<BuildResult>;
  /** Builds stacks again; without `names`, all of them. */
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
  /** Stores the files of a kept task as one more layer on the task's image. */
  commit(
    task: string,
    name: string,
    options?: Asked<CommitTaskOptions, 'task' | 'stack'>,
  ): Promise<PublishedStack>;
  rollback(name: string, target?: RollbackTarget): Promise<StackMove>;
  /** Removes all of these stacks or none. This cannot be undone. */
  remove(names: readonly string[]): Promise<readonly RemovedStack[]>;
  releases(most: number): Promise<readonly ReleaseEntry[]>;
  /** Moves every stack that the text of a release file names, or none. `label` is for people: the file's name. */
  applyRelease(text: string, label: string): Promise<ReleaseResult>;
  rollbackRelease(target?: RollbackTarget): Promise<ReleaseResult>;
  /** Writes stacks as one signed file for `load`. */
  save(
    stacks: readonly string[],
    options: Asked<SaveStacksOptions, 'stacks'>,
  ): Promise<SavedStacks>;
  load(options: Asked<LoadStacksOptions>): Promise<LoadedStacks>;
  /** The intact layers on this machine: another machine can leave them out of a saved file. */
  heldLayers(): Promise<readonly LayerId[]>;
}
