/** The types of `openStackshim`: everything that the door to an installation offers. */
import type { Readable } from 'node:stream';
import type { LayoutOptions } from '../core/layout.ts';
import type { Diagnosis } from '../doctor/diagnose-host.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { Guard } from '../task/abandoned/guard.ts';
import type { ReapReport } from '../task/abandoned/reap.ts';
import type { WatchOwnersOptions } from '../task/abandoned/watch-owners.ts';
import type { CallerOptions } from '../task/caller-options.ts';
import type { CopyReport } from '../task/copying/copy-order.ts';
import type { Removal } from '../task/ending/remove-task.ts';
import type { ExecResult } from '../task/exec/exec-in-task.ts';
import type { ExecOptions } from '../task/exec/exec-options.ts';
import type { ProcessList } from '../task/live/list-processes.ts';
import type { StatsLook } from '../task/live/read-stats.ts';
import type { TaskUpdate, UpdateInput } from '../task/live/update-task.ts';
import type { WatchEventsOptions } from '../task/live/watch-events.ts';
import type { ListedTask, TaskList } from '../task/records/list-tasks.ts';
import type { TaskInspection } from '../task/reports/inspect-task.ts';
import type { EndedTasks } from '../task/reports/list-ended.ts';
import type { LogOptions, LogPiece } from '../task/reports/read-log.ts';
import type { TaskResult } from '../task/result.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';
import type { Collection, CollectOptions } from '../upkeep/collect-garbage.ts';
import type { DiskUsage } from '../upkeep/disk-usage.ts';
import type { MigrateOptions, Migration } from '../upkeep/migrate-store.ts';
import type { Verification, VerifyProgress } from '../upkeep/verify-store.ts';
import type { Code } from './code.ts';
import type { DetachedTask, DetachOptions } from './keeper/keeper-order.ts';
import type { Stacks } from './stacks.ts';
import type { TaskHandle } from './task-handle.ts';
import type { TaskEnd, WaitOptions } from './wait-for-task.ts';

/** The options of `runTask`: which installation, and how the task is run there. */
export interface RunTaskOptions extends LayoutOptions, CallerOptions {}

/** How `kill` ends a task. */
export interface KillOptions {
  /** Time between the task's stop signal and KILL, in the format of the task's own `stopTimeout`; 0 kills at once. Default: 10 seconds. */
  readonly stopTimeout?: string | number;
}

/** Which tasks `stats` looks at. */
export interface StatsOptions {
  /** Default: all running tasks. */
  readonly ids?: readonly string[];
  /** Whether to leave out tasks of `ids` that do not run, instead of rejecting. Default: false. */
  readonly skipEnded?: boolean;
}

/** The options of `copyFrom` and `copyTo`. */
export interface CopyOptions {
  /** An abort ends the copy; what was copied stays. */
  readonly signal?: AbortSignal;
}

/** How `remove` treats a task that still runs. */
export interface RemoveOptions extends KillOptions {
  /** Whether to end the task first. Default: refuse. */
  readonly force?: boolean;
}

/** What `reap` waits for first. */
export interface ReapOptions {
  /** Id of a task whose owner gets 30 seconds to end. Rejects with ERR_STACKSHIM_TASK_CONFLICT if it still runs after that. */
  readonly afterOwnerOf?: string | undefined;
}

/** What `verify` reads, and where it reports its progress. */
export interface VerifyOptions {
  /** Names of stacks: reads only what these stacks need, in all revisions. Default: everything that is stored. */
  readonly stacks?: readonly string[];
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * One installation: its tasks, stacks and storage. Every member except `doctor` needs root and rejects with ERR_STACKSHIM_NOT_ROOT without it,
 * and with ERR_STACKSHIM_PATH_UNTRUSTED if another user controls a folder of the installation. Task ids and stack names are plain text, which
 * is checked (ERR_STACKSHIM_SPEC_INVALID).
 */
export interface Stackshim {
  /**
   * Runs one task. Resolves to its result record once it has ended and, with `remove: 'sync'` (the default), is removed.
   *
   * Rejects with a `StackshimError` only before the task has a record; then nothing has happened. After that it always resolves; a task that
   * could not be started is `setup_failed`. With `remove: 'async'` the result comes before the removal, which ends with a `removed` event. Any
   * number of tasks may run in one process, also in worker threads; none blocks the event loop.
   */
  run(input: TaskInput, options?: CallerOptions): Promise<TaskResult>;
  /** Like `run`, for a caller that goes on while the task runs: resolves once the task has a record. Rejects like `run`. */
  start(input: TaskInput, options?: CallerOptions): Promise<TaskHandle>;
  /** Lists the existing tasks of all processes, oldest first. A damaged record is listed separately and rejects nothing. */
  list(): Promise<TaskList>;
  /** One task, in the form of `list`; undefined if it does not exist. Rejects with ERR_STACKSHIM_RECORD_CORRUPT if its record is damaged. */
  get(id: string): Promise<ListedTask | undefined>;
  /** Waits for a task of any process to end; resolves at once if it left a report. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND if there is neither. */
  wait(id: string, options?: WaitOptions): Promise<TaskEnd>;
  /**
   * Executes a further command in a running task of any process, and resolves to the command's end. The command has the task's rights, limits
   * and environment, and ends with the task. A command that fails is a result. Rejects if the command could not be started: with
   * ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT if the task does not run or is paused, _SPEC_DENIED if the policy forbids it,
   * _COMMAND_NOT_FOUND and _COMMAND_NOT_EXECUTABLE.
   */
  exec(id: string, command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /**
   * Ends a task of any process, also a kept one, and resolves when it is removed. `removed` is false if the owner has not removed it within 30
   * s after KILL, or if something of it is left. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND.
   */
  kill(id: string, options?: KillOptions): Promise<Removal>;
  /**
   * Reads the present usage of running tasks of any process, and their peaks. `cpuPercent` is the average since the previous look of this
   * object, and null at the first look. A look costs a tenth of a millisecond for each task. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND or
   * ERR_STACKSHIM_TASK_CONFLICT for one of `ids` that does not run.
   */
  stats(options?: StatsOptions): Promise<StatsLook>;
  /** The processes of a running task; a field not known within a second is null. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT. */
  processes(id: string): Promise<ProcessList>;
  /**
   * Stops all processes of a running task until `unpause`. Its time goes on; `kill` and its time limit end it as usual. Rejects with
   * ERR_STACKSHIM_TASK_NOT_FOUND; with ERR_STACKSHIM_TASK_CONFLICT if the task does not run, is paused, or cannot be stopped.
   */
  pause(id: string): Promise<void>;
  /** Lets a paused task run again. Rejects like `pause`; with ERR_STACKSHIM_TASK_CONFLICT if the task is not paused. */
  unpause(id: string): Promise<void>;
  /**
   * Changes limits of a running task of any process. A new `timeout` takes effect within a second. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND,
   * ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_SPEC_DENIED (policy, tenant, host), ERR_STACKSHIM_HOST_EXHAUSTED (reserves); with
   * ERR_STACKSHIM_TASK_CONFLICT if the task does not run, or uses more memory than the new limit.
   */
  update(id: string, limits: UpdateInput): Promise<TaskUpdate>;
  /** Reports what happens to the tasks of all processes, until `signal` aborts. See docs/tasks.md for what can be missed. */
  events(options: WatchEventsOptions): Promise<void>;
  /**
   * Copies a file or folder out of a running or kept task, like `docker cp`; `SRC/.` is the content of a folder. `to` is a path of the host, or
   * takes a tar. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT for a task in another state, _INPUT_NOT_FOUND for a path that does
   * not exist, _OUTPUT_FAILED if the destination cannot be written or the task holds up the copy.
   */
  copyFrom(
    id: string,
    source: string,
    to: string | OutputSink,
    options?: CopyOptions,
  ): Promise<CopyReport>;
  /** Like `copyFrom`, into a task. `from` is a path of the host, or a tar that is unpacked in the folder `destination`. */
  copyTo(
    id: string,
    from: string | Readable,
    destination: string,
    options?: CopyOptions,
  ): Promise<CopyReport>;
  /**
   * Runs a task that outlives this process: a keeper, which is a process of its own, owns the task until its end. The output and the result are
   * kept (`log`). Resolves once the command has begun, or once it is known that it never will. Rejects like `run`. `interactive` and
   * `captureBytes` are refused.
   */
  detach(input: TaskInput, options?: DetachOptions): Promise<DetachedTask>;
  /** The kept output of a task with `log`, also while it runs. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT for a task without a log. */
  logs(id: string, options?: LogOptions): Promise<AsyncIterable<LogPiece>>;
  /** Everything that is known about a task, whether it runs or has left a report. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND. */
  inspect(id: string): Promise<TaskInspection>;
  /**
   * Removes what an ended task has left: its report, and a kept task itself. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, and, without
   * `force`, with ERR_STACKSHIM_TASK_CONFLICT for a task that has not ended or has lost its owner.
   */
  remove(id: string, options?: RemoveOptions): Promise<Removal>;
  /** Lists removed tasks that have left a report, oldest first. A damaged report is listed separately and rejects nothing. */
  listEnded(): Promise<EndedTasks>;
  /** Removes what dead owners left. Safe at any time, from any number of processes; a second call only retries what could not be removed. */
  reap(options?: ReapOptions): Promise<ReapReport>;
  /** Reaps tasks as soon as their owner has died, and enforces the time limits of tasks whose owner is busy or stopped. Ends when `signal` aborts. */
  watchOwners(options: WatchOwnersOptions): Promise<void>;
  /** Starts a process that removes this process's tasks after its death, and enforces their time limits while it is busy or stopped. One suffices. */
  startGuard(): Promise<Guard>;
  readonly stacks: Stacks;
  readonly code: Code;
  /** Finds out what this host can and cannot guarantee. Never rejects for a fault of the host, which is a finding. */
  doctor(): Promise<Diagnosis>;
  /** Reads every stored layer completely, and names what is damaged. Changes nothing. */
  verify(options?: VerifyOptions): Promise<Verification>;
  /** Converts what earlier versions stored to the formats of this version. */
  migrate(options?: Omit<MigrateOptions, 'system'>): Promise<Migration>;
  /** Removes what no revision, task or build needs. */
  gc(options?: CollectOptions): Promise<Collection>;
  /** The disk space of stacks, builds and tasks. */
  df(): Promise<DiskUsage>;
}
