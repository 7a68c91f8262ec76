/** The result record: the outcome of one task. docs/task-spec.md describes every field. */
import type { CgroupUsage } from '../cgroup/cgroup-driver.ts';
import type { ErrorJson } from '../core/errors.ts';
import type { BuildKey, ImageDigest, PackageName, StackName, TaskId } from '../core/ids.ts';
import type { TaskExec } from './exec/told-exec.ts';
import type { TakenOutput } from './outputs/output-report.ts';

/** How a task ended, as one word: the first cause wins. */
export type Verdict =
  | 'succeeded'
  | 'failed'
  | 'signaled'
  | 'timed_out'
  | 'cpu_time_exceeded'
  | 'oom_killed'
  | 'output_limited'
  | 'disk_full'
  | 'cancelled'
  | 'build_failed'
  | 'setup_failed';

/** Milliseconds spent in each phase; a phase that was never reached is 0. */
export interface PhaseTimes {
  readonly resolve: number;
  /** Only with a build step: to look for its outcome, wait for it, or run it. */
  readonly build?: number;
  readonly assemble: number;
  readonly configure: number;
  readonly start: number;
  readonly run: number;
  readonly account: number;
  readonly remove: number;
}

/**
 * What the whole task used, including the runtime's start inside it. Times are in milliseconds; CPU time is the sum
 * over all processors. Null: this kernel, cgroup version or runtime does not measure it, or the command never ran.
 */
export interface Usage extends CgroupUsage {
  readonly wallMs: number | null;
  /** The largest measured use of disk space, including the task's inputs. */
  readonly diskPeakBytes: number | null;
  readonly diskPeakInodes: number | null;
}

/** What the log kept of the task's output (`log`). */
export interface LogSummary {
  /** Bytes of output in the log. */
  readonly bytes: number;
  /** Older bytes that newer ones replaced, because the log reached its maximum size. */
  readonly droppedBytes: number;
  /** Bytes that could not be written, for example because the disk was full. */
  readonly lostBytes: number;
  /** Why the first of these bytes could not be written; null if none were lost. */
  readonly error: ErrorJson | null;
}

/** The output of the task. */
export interface TaskOutput {
  /** Bytes that the task wrote, including those that the output limit dropped. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** The part that a sink did not take: it failed, was destroyed or ended, or took nothing for too long after the task's stop or time limit. */
  readonly lostBytes: number;
  /** True if output is missing: a captured stream lost its middle, the limit cut output off, or `lostBytes` is not 0. */
  readonly truncated: boolean;
  /** Present only with `log`. */
  readonly log?: LogSummary;
  /** Captured text, only with capture. Bytes that are not valid UTF-8 become U+FFFD. */
  readonly stdout?: string;
  readonly stderr?: string;
}

/** The outcome of a task's build step. */
export interface BuildReport {
  /** Digest of everything that determines the outcome; names the files in the cache. */
  readonly key: BuildKey;
  /** False if this task ran the build step; true if an earlier or a concurrent task did. */
  readonly cached: boolean;
  /** The verdict of the build step's own task. */
  readonly verdict: Verdict;
  /** The exit code of the build step's command; null if a signal ended it or it never ran. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Path of the log: the output of the build step's command, without its middle if it is long. */
  readonly log: string;
  /** The end of a failed build step's log; empty after success. */
  readonly logTail: string;
}

/** The code package of a task. */
export interface CodeReport {
  readonly name: PackageName;
  readonly revision: number;
  readonly image: ImageDigest;
}

/** The result record. JSON-safe: `--result` writes exactly this. */
export interface TaskResult {
  readonly id: TaskId;
  readonly stack: StackName;
  readonly revision: number;
  readonly image: ImageDigest;
  /** Only for a task of a code package. */
  readonly code?: CodeReport;
  readonly verdict: Verdict;
  /** The command's exit code; null if a signal ended it or it never ran. */
  readonly exitCode: number | null;
  /** The name of the signal that ended the command: `SIGKILL`. */
  readonly signal: string | null;
  /** True only if the platform, not the task, was at fault. */
  readonly retryable: boolean;
  /** Why the command never ran (`setup_failed`, `build_failed`), or why input, output or outputs could not be passed on completely; or null. */
  readonly error: ErrorJson | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly phasesMs: PhaseTimes;
  /** Only with a build step of which something is known. */
  readonly build?: BuildReport;
  readonly usage: Usage;
  readonly output: TaskOutput;
  /** The last text in the file TASK_PROGRESS_FILE; null if the task wrote none, or had no such file. */
  readonly progress: string | null;
  /** Further commands executed in the task, oldest first; absent if there were none. */
  readonly execs?: readonly TaskExec[];
  /** What was taken out of the task, in the order of its outputs; absent if it had none. */
  readonly outputs?: readonly TakenOutput[];
  /** True only after processes, cgroups, mounts, files and runtime state were each checked to be gone. */
  readonly removed: boolean;
  /** Everything that was not removed: a path or name each, followed by `: ` and the reason if known. */
  readonly leftovers: readonly string[];
  /** Present if the disk had too little room for the stored result: lists and texts are cut to their beginnings. */
  readonly shortened?: true;
}
