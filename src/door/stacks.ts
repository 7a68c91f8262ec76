/** The types of the door's `stacks`. */

import type { BuildResult, BuildStackOptions } from '../build/build-stack.ts';
import type { BuildStacksOptions, BuildsReport } from '../build/build-stacks.ts';
import type { PlannedBuild } from '../build/plan-builds.ts';
import type { UpdateReport, UpdateStacksOptions } from '../build/update-stacks.ts';
import type { LayerId } from '../core/ids.ts';
import type { CommitTaskOptions } from '../exchange/commit-task.ts';
import type { ExportedStack, ExportStackOptions } from '../exchange/export-stack.ts';
import type { ImportStackOptions } from '../exchange/import-stack.ts';
import type { PublishedStack } from '../exchange/publish-image.ts';
import type { PullStackOptions } from '../exchange/pull-stack.ts';
import type { PushedStack, PushStackOptions } from '../exchange/push-stack.ts';
import type { LoadedStacks, LoadStacksOptions } from '../exchange/saves/load-stacks.ts';
import type { SavedStacks, SaveStacksOptions } from '../exchange/saves/save-stacks.ts';
import type { StackDiff } from '../store/diff/diff-stack.ts';
import type { DamageListener } from '../store/stacks/current-stacks.ts';
import type { StackDetails, StackSummary } from '../store/stacks/list-stacks.ts';
import type { ReleaseResult } from '../store/stacks/release.ts';
import type { StackMove } from '../store/stacks/rollback.ts';
import type { GraphNode } from '../store/stacks/stack-graph.ts';
import type { HistoryEntry, ReleaseEntry } from '../store/stacks/stack-history.ts';
import type { RemovedStack } from '../upkeep/remove-stacks.ts';

/** The options of an operation without those that the door sets. */
export type Asked<Options, Named extends PropertyKey = never> = Omit<
  Options,
  'system' | 'runSmoke' | 'clock' | 'env' | 'lockWaitMs' | Named
>;

/** The revision or generation to return to. Default: the previous one. */
export interface RollbackTarget {
  readonly to?: number | undefined;
}

/** What a stack is compared with. */
export interface DiffRange {
  /** The revision of the stack to start from. Default: the one that was current before. Only for a stack without a revision of its own. */
  readonly from?: number | undefined;
  /** The revision of the stack to end at. Default: the one that the stack's own text names, else the current one. */
  readonly to?: number | undefined;
  /** Another stack to end at; the comparison then starts at the first. Excludes `from` and `to`. */
  readonly other?: string | undefined;
}

/** The stacks of one installation. Names are plain text. Each member throws the error codes of the corresponding command. */
export interface Stacks {
  /** Lists every stack, by name. `onDamage` gets stacks that cannot be read, which are left out; if absent, the first of them rejects. */
  list(onDamage?: DamageListener): Promise<readonly StackSummary[]>;
  show(name: string): Promise<StackDetails>;
  history(name: string): Promise<readonly HistoryEntry[]>;
  graph(onDamage?: DamageListener): Promise<readonly GraphNode[]>;
  /** Compares two revisions of a stack, or with `other` two stacks. The stack is a name, `name@rev:N` or `name@sha256:…`. */
  diff(stack: string, range?: DiffRange): Promise<StackDiff>;
  /** Builds a directory with a Dockerfile; the image becomes the current revision of the stack with the directory's name. */
  build(directory: string, options?: Asked<BuildStackOptions>): Promise<BuildResult>;
  /** Plans the order in which `buildAll` would build these directories, and the base of each. Builds nothing. */
  planBuilds(directories: readonly string[]): Promise<readonly PlannedBuild[]>;
  /** Builds several directories, each after those that it is built on, and reports the outcome of each. */
  buildAll(
    directories: readonly string[],
    options?: Asked<BuildStacksOptions>,
  ): Promise<BuildsReport>;
  /** Rebuilds stacks; without `names`, all of them. */
  update(
    options?: Asked<UpdateStacksOptions, 'names'> & {
      readonly names?: readonly string[] | undefined;
    },
  ): Promise<UpdateReport>;
  /** Makes an image or a root filesystem the current revision of a stack. The reference `-` stands for the option `input`. */
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
  /**
   * Stores the image `docker://HOST/NAME@sha256:…` as a revision of a stack, and refuses an image with another digest. However many callers
   * wait for an image, it is pulled once. The current revision stays, if there is one.
   */
  pull(
    name: string,
    source: string,
    options?: Asked<PullStackOptions, 'stack' | 'reference'>,
  ): Promise<PublishedStack>;
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
  /** The stacks that the text of a release file names, as references: `NAME@rev:4`, `NAME@sha256:…`. */
  stacksOfRelease(text: string, label: string): Promise<readonly string[]>;
  /** Moves every stack that the text of a release file names, or none. `label` is for people: the file's name. */
  applyRelease(text: string, label: string): Promise<ReleaseResult>;
  rollbackRelease(target?: RollbackTarget): Promise<ReleaseResult>;
  /** Writes stacks as one signed file for `load`. */
  save(
    stacks: readonly string[],
    options: Asked<SaveStacksOptions, 'stacks'>,
  ): Promise<SavedStacks>;
  load(options: Asked<LoadStacksOptions>): Promise<LoadedStacks>;
  /** The intact layers on this machine, which another machine can leave out of a saved file. */
  heldLayers(): Promise<readonly LayerId[]>;
}
