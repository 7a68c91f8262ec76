/**
 * stackshim as a library: run tasks in stacks from a long-lived Node process.
 *
 * Every export is documented where it is defined; docs/library.md has the examples that the tests compile.
 */

export type { ErrorCode, ErrorKind } from './core/error-codes.ts';
export { type ErrorJson, StackshimError } from './core/errors.ts';
export { type ImageDigest, parseTaskId, type StackName, type TaskId } from './core/ids.ts';
export type { LayoutOptions } from './core/layout.ts';
export type { MountInput } from './spec/parse-mount.ts';
export { parseJobInput } from './spec/parse-task-spec.ts';
export type { JobInput, TaskInput, TaskOrigin } from './spec/task-input.ts';
export type { WindowSize } from './sys/system.ts';
export { type Guard, startGuard } from './task/abandoned/guard.ts';
export { type ReapReport, reapTasks } from './task/abandoned/reap.ts';
export type { ReapedTask } from './task/abandoned/remove-abandoned.ts';
export type { StopCause } from './task/decide-verdict.ts';
export { type KillOptions, killTask } from './task/ending/kill-task.ts';
export type { Removal } from './task/ending/remove-task.ts';
export type { TaskEvent, TaskListener } from './task/events.ts';
export { type Installation, openInstallation } from './task/installation.ts';
export {
  type ListedTask,
  listTasks,
  type TaskList,
  type TaskState,
} from './task/records/list-tasks.ts';
export type { PhaseTimes, TaskOutput, TaskResult, Usage, Verdict } from './task/result.ts';
export { type RunTaskOptions, runTask } from './task/run-task.ts';
export type { OutputSink } from './task/streams/output-sink.ts';
export type { StreamName } from './task/streams/task-output.ts';
export type { TaskTerminal } from './task/streams/terminal-streams.ts';
