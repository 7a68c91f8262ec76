/** The result record: what became of one task. docs/task-spec.md describes every field. */
import type { CgroupUsage } from '../cgroup/cgroup-driver.ts';
import type { ErrorJson } from '../core/errors.ts';
import type { ImageDigest, StackName, TaskId } from '../core/ids.ts';

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
  | 'setup_failed';

/** Milliseconds spent in each phase; a phase that was never reached is 0. */
export interface PhaseTimes {
  readonly resolve: number;
  readonly assemble: number;
  readonly configure: number;
  readonly start: number;
  readonly run: number;
  readonly account: number;
  readonly remove: number;
}

/**
 * What the whole task used, the runtime's own start inside it included. Times in milliseconds, CPU over all processors together.
 * Null: not measured by this kernel, cgroup version or runtime, or the command never ran.
 */
export interface Usage extends CgroupUsage {
  readonly wallMs: number | null;
  /** The most that its disk space held when looked at, what it was given to read included. */
  readonly diskPeakBytes: number | null;
  readonly diskPeakInodes: number | null;
}

/** What the task wrote. */
export interface TaskOutput {
  /** As written by the task, what the output limit dropped included. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** Of these, what a sink did not take: it failed, was destroyed or ended, or was waited for in vain once the task was stopped or its time was over. */
  readonly lostBytes: number;
  /** True when something is missing: a captured stream lost its middle, the limit cut output off, or `lostBytes` is not 0. */
  readonly truncated: boolean;
  /** Captured text, present only when capture was asked for. Bytes that are not UTF-8 become U+FFFD. */
  readonly stdout?: string;
  readonly stderr?: string;
}

/** The result record. JSON-safe: what `--result` writes is this. */
export interface TaskResult {
  readonly id: TaskId;
  readonly stack: StackName;
  readonly revision: number;
  readonly image: ImageDigest;
  readonly verdict: Verdict;
  /** The command's exit code; null when a signal ended it or it never ran. */
  readonly exitCode: number | null;
  /** Name of the signal that ended it: `SIGKILL`. */
  readonly signal: string | null;
  /** True only where the platform, not the task, was at fault. */
  readonly retryable: boolean;
  /** Why the command never ran (`setup_failed`) or why its input or output could not be passed on to the end, else null. */
  readonly error: ErrorJson | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly phasesMs: PhaseTimes;
  readonly usage: Usage;
  readonly output: TaskOutput;
  /** True only after processes, cgroups, mounts, files and runtime state were each checked to be gone. */
  readonly removed: boolean;
  /** What was not removed, one path or name each, and after `: ` what kept it from going where that is known. */
  readonly leftovers: readonly string[];
}
