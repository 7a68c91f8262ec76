/** What the one door to an installation offers: the types of `openStackshim`. */
import type { LayoutOptions } from '../core/layout.ts';
import type { Collection, CollectOptions } from '../images/collect-garbage.ts';
import type { DiskUsage } from '../images/disk-usage.ts';
import type { MigrateOptions, Migration } from '../images/migrate-store.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { Verification, VerifyProgress } from '../stacks/verify-store.ts';
import type { Guard } from '../task/abandoned/guard.ts';
import type { ReapReport } from '../task/abandoned/reap.ts';
import type { WatchOwnersOptions } from '../task/abandoned/watch-owners.ts';
import type { Diagnosis } from '../task/diagnose-host.ts';
import type { Removal } from '../task/ending/remove-task.ts';
import type { ListedTask, TaskList } from '../task/records/list-tasks.ts';
import type { TaskResult } from '../task/result.ts';
import type { CallerOptions } from '../task/run-task.ts';
import type { Stacks } from './stacks.ts';
import type { TaskHandle } from './task-handle.ts';
import type { TaskEnd, WaitOptions } from './wait-for-task.ts';

/** Where the installation lies, and how a task is run there: the options of `runTask`. */
export interface RunTaskOptions extends LayoutOptions, CallerOptions {}

/** How `kill` ends a task. */
export interface KillOptions {
  /** Between the task's stop signal and KILL, as the task's own `stopTimeout` is written; 0 kills at once. Default: 10 seconds. */
  readonly stopTimeout?: string | number;
}

/** What `reap` waits for before it looks. */
export interface ReapOptions {
  /** Id of a task: its owner gets 30 seconds to end. Rejects with ERR_STACKSHIM_TASK_CONFLICT when it still runs then. */
  readonly afterOwnerOf?: string | undefined;
}

/** What `verify` reads, and whom it tells. */
export interface VerifyOptions {
  /** Names: only what these stacks need, all their revisions. Default: everything that is stored. */
  readonly stacks?: readonly string[];
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * One installation: its tasks, its stacks and its storage. Every member needs root, but for `doctor`, and rejects with
 * ERR_STACKSHIM_NOT_ROOT, or with ERR_STACKSHIM_PATH_UNTRUSTED when another user controls a folder of the installation. Ids of tasks and names of stacks are
 * plain text that is checked (ERR_STACKSHIM_SPEC_INVALID).
 */
export interface Stackshim {
  /**
   * Runs one task and resolves to its result record once it has ended and, with `remove: 'sync'` (the default), is removed.
   *
   * Rejects with a `StackshimError`, and only before the task has a record: nothing has happened then. From there on it always
   * resolves; a task that could not be started is `setup_failed`. With `remove: 'async'` the result comes before removal, which ends with a `removed` event.
   * Any number of tasks may run in one process, in worker threads too; none blocks the event loop.
   */
  run(input: TaskInput, options?: CallerOptions): Promise<TaskResult>;
  /** The same, for a caller that goes on while the task runs: resolves once the task has a record, and rejects as `run`. */
  start(input: TaskInput, options?: CallerOptions): Promise<TaskHandle>;
  /** The tasks that exist, oldest first, whoever runs them. A damaged record is told of, and rejects nothing. */
  list(): Promise<TaskList>;
  /** One task as `list` has it; undefined when there is none. Rejects with ERR_STACKSHIM_RECORD_CORRUPT when its record is damaged. */
  get(id: string): Promise<ListedTask | undefined>;
  /** Waits until a task of any process is over. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND when there is none. */
  wait(id: string, options?: WaitOptions): Promise<TaskEnd>;
  /**
   * Ends a task of any process and resolves when it is removed; a kept task is removed. `removed` is false when its owner has not
   * removed it within 30 s after KILL, or when something of it is left. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND.
   */
  kill(id: string, options?: KillOptions): Promise<Removal>;
  /** Removes what dead owners left. Safe at any time, from any number of processes; a second call finds nothing to do but what could not be removed. */
  reap(options?: ReapOptions): Promise<ReapReport>;
  /** Reaps the tasks of each owner as soon as it has died, and holds tasks to their time while their owner is held up. Resolves once `signal` has aborted. */
  watchOwners(options: WatchOwnersOptions): Promise<void>;
  /** Starts a process that removes this one's tasks once it has died, and holds them to their time while it is held up. One is enough for a process. */
  startGuard(): Promise<Guard>;
  readonly stacks: Stacks;
  /** What this host can and cannot guarantee. Never rejects for a fault of the host: that is a finding. */
  doctor(): Promise<Diagnosis>;
  /** Reads every layer that is stored, from end to end, and names what is damaged. Changes nothing. */
  verify(options?: VerifyOptions): Promise<Verification>;
  /** Brings what earlier versions stored up to this version. */
  migrate(options?: Omit<MigrateOptions, 'system'>): Promise<Migration>;
  /** Frees what no revision, task or build needs. */
  gc(options?: CollectOptions): Promise<Collection>;
  /** What stacks, builds and tasks take on disk. */
  df(): Promise<DiskUsage>;
}
