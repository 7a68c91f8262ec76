/**
 * stackshim as a library: run tasks in stacks from a long-lived Node process.
 *
 * Every export is documented where it is defined; docs/library.md has the examples that the tests compile.
 */

export type { BuildStatus, BuildsReport, StackBuild } from './build/build-stacks.ts';
export type { PlannedBuild } from './build/plan-builds.ts';
export type { ErrorCode, ErrorKind } from './core/error-codes.ts';
export { type ErrorJson, StackshimError } from './core/errors.ts';
export {
  type BuildKey,
  type ImageDigest,
  type LayerId,
  type PackageName,
  parseTaskId,
  type StackName,
  type TaskId,
} from './core/ids.ts';
export type { LayoutOptions } from './core/layout.ts';
export type { Check } from './doctor/check.ts';
export type { Diagnosis } from './doctor/diagnose-host.ts';
export type { Code, ListPackagesOptions, PackageRange, TenantChoice } from './door/code.ts';
export type { DetachedTask, DetachOptions } from './door/keeper/keeper-order.ts';
export { openStackshim, runTask } from './door/open-stackshim.ts';
export type { DiffRange, RollbackTarget, Stacks } from './door/stacks.ts';
export type {
  CopyOptions,
  KillOptions,
  ReapOptions,
  RemoveOptions,
  RunTaskOptions,
  Stackshim,
  StatsOptions,
  VerifyOptions,
} from './door/stackshim.ts';
export type { TaskEvents, TaskHandle } from './door/task-handle.ts';
export type { TaskEnd, WaitOptions } from './door/wait-for-task.ts';
export type { AddedPackage, AddPackageOptions } from './exchange/code-packages/add-package.ts';
export type { PulledPackage } from './exchange/code-packages/pull-package.ts';
export type { PushedPackage } from './exchange/code-packages/push-package.ts';
export type { ImageSettings } from './exchange/root-filesystem/image-settings.ts';
export type { PackageFile, PackageInput } from './spec/package-input.ts';
export type { LimitInput, PackageSettings } from './spec/package-settings.ts';
export type { MountInput } from './spec/parse-mounts.ts';
export type { OutputInput } from './spec/parse-outputs.ts';
export { parseJobInput } from './spec/parse-task-spec.ts';
export type { JobInput, TaskInput, TaskOrigin } from './spec/task-input.ts';
export type { StoredBuilt } from './store/built/collect-built.ts';
export type { DiffSide, StackDiff } from './store/diff/diff-stack.ts';
export type { DiffSummary } from './store/diff/summarise-diff.ts';
export type { StoredLayer } from './store/layers/collect-layers.ts';
export type { PackageMove, RemovedPackage } from './store/packages/change-packages.ts';
export type { PackageDiff } from './store/packages/diff-package.ts';
export type {
  PackageDamageListener,
  PackageDetails,
  PackageHistoryEntry,
  PackageLayer,
  PackageSummary,
} from './store/packages/list-packages.ts';
export type { PackageOwner, PackageSource, PinnedPackage } from './store/packages/package.ts';
export type { AffectedRevision, Damage } from './store/survey-store.ts';
export type { WindowSize } from './sys/system.ts';
export type { Guard } from './task/abandoned/guard.ts';
export type { ReapReport } from './task/abandoned/reap.ts';
export type { ReapedTask } from './task/abandoned/remove-abandoned.ts';
export type { StopCause } from './task/build-result.ts';
export type { CallerOptions } from './task/caller-options.ts';
export type { CopyReport } from './task/copying/copy-order.ts';
export type { Removal } from './task/ending/remove-task.ts';
export type { TaskEvent, TaskListener } from './task/events.ts';
export type { ExecResult } from './task/exec/exec-in-task.ts';
export type { ExecOptions } from './task/exec/exec-options.ts';
export type { ExecCaller, TaskExec } from './task/exec/told-exec.ts';
export type { ProcessList, TaskProcess } from './task/live/list-processes.ts';
export type { StatsLook, TaskStats } from './task/live/read-stats.ts';
export type { TaskUpdate, UpdateInput } from './task/live/update-task.ts';
export type { InstallationEvent, WatchEventsOptions } from './task/live/watch-events.ts';
export type { LeftOutReason } from './task/outputs/left-out.ts';
export type {
  LeftOutEntry,
  OutputState,
  TakenEntry,
  TakenOutput,
} from './task/outputs/output-report.ts';
export type { CallerBytes } from './task/receive-inputs.ts';
export type { ListedTask, TaskList, TaskState } from './task/records/list-tasks.ts';
export type { TaskExit, TaskRecord } from './task/records/record.ts';
export type { InspectedCgroup, TaskInspection } from './task/reports/inspect-task.ts';
export type { EndedTaskEntry, EndedTasks } from './task/reports/list-ended.ts';
export type { LogPart } from './task/reports/log-frames.ts';
export type { LogOptions, LogPiece } from './task/reports/read-log.ts';
export type { JsonObject, ReportedTask } from './task/reports/report.ts';
export type {
  BuildReport,
  CodeReport,
  LogSummary,
  PhaseTimes,
  TaskOutput,
  TaskResult,
  Usage,
  Verdict,
} from './task/result.ts';
export type { OutputSink } from './task/streams/output-sink.ts';
export type { StreamName } from './task/streams/task-output.ts';
export type { TaskTerminal } from './task/streams/terminal-streams.ts';
export type {
  Collection,
  CollectOptions,
  CollectProgress,
  PackageRevisionName,
} from './upkeep/collect-garbage.ts';
export type { DiskUsage, StackUsage } from './upkeep/disk-usage.ts';
export type { MigrateProgress, Migration } from './upkeep/migrate-store.ts';
export type { Verification, VerifyProgress } from './upkeep/verify-store.ts';

// In the background: it must not delay a program that runs one task. A task that needs a missing module reports that itself.
void import('./door/load-ahead.ts').catch(() => undefined);
