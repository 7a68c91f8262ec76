/** Builds an ended task's result: why it ended, its verdict, its record. Pure. */
import { hasCode, type StackshimError } from '../core/errors.ts';
import type { PinnedPackage } from '../store/packages/package.ts';
import { signalName } from '../sys/processes.ts';
import type { Execution } from './account-task.ts';
import type { Removal } from './ending/remove-task.ts';
import type { TaskExec } from './exec/told-exec.ts';
import type { OutputsTaken } from './outputs/task-outputs.ts';
import type { TaskPlan } from './plan-task.ts';
import type {
  BuildReport,
  CodeReport,
  PhaseTimes,
  TaskOutput,
  TaskResult,
  Verdict,
} from './result.ts';

/** Why stackshim ended a task; the first cause wins. */
export type StopCause =
  | 'timed_out'
  | 'cpu_time_exceeded'
  | 'output_limited'
  | 'oom_killed'
  | 'disk_full'
  | 'cancelled';

/** The reasons for a task's end that are known afterwards. Each may have arisen without this process. */
export interface StopEvidence {
  /** Why this process stopped the task; null if it did not. */
  readonly stop: StopCause | null;
  /** Whether another process requested the task's end. */
  readonly isCancelled: boolean;
  /** Whether the task's time was over at its end, or another process stopped it for that reason. */
  readonly isOverdue: boolean;
  /** The limit that the last check of its cgroup found exceeded. */
  readonly passed: StopCause | null;
  /** Whether the task exceeded a disk limit that is enforced only by measuring. */
  readonly isDiskPassed: boolean;
  /** Whether the task wrote more output than allowed: the amount counts, not how soon it was read. */
  readonly isOutputPassed: boolean;
}

/** Why a task was stopped, or would have been by an earlier check; null: it ended by itself. */
export function decideCause(evidence: StopEvidence): StopCause | null {
  if (evidence.stop !== null) return evidence.stop;
  if (evidence.isCancelled) return 'cancelled';
  if (evidence.isOverdue) return 'timed_out';
  if (evidence.passed !== null) return evidence.passed;
  if (evidence.isDiskPassed) return 'disk_full';
  return evidence.isOutputPassed ? 'output_limited' : null;
}

function decideVerdict({ exit, cause, usage, diskReport }: Execution, error: unknown): Verdict {
  if (cause !== null) return cause;
  const hasBuildFailed = hasCode(error, 'ERR_STACKSHIM_TASK_BUILD_FAILED');
  if (exit === null) return hasBuildFailed ? 'build_failed' : 'setup_failed';
  if (exit.exitCode === 0) return 'succeeded';
  if ((usage?.oomKills ?? 0) > 0) return 'oom_killed';
  if (diskReport?.wasFull === true || diskReport?.wasHostFull === true) return 'disk_full';
  return exit.signal === null ? 'failed' : 'signaled';
}

/** Whether another attempt, here or elsewhere, may succeed because the platform was at fault and not the task. */
function isRetryable(error: StackshimError | null): boolean {
  if (error === null) return false;
  return ['exhausted', 'unavailable', 'internal', 'aborted'].includes(error.kind);
}

/** The usage of a task that never had a cgroup. */
const NO_USAGE = {
  cpuUserMs: null,
  cpuSystemMs: null,
  cpuThrottledMs: null,
  memoryPeakBytes: null,
  socketPeakBytes: null,
  pidsPeak: null,
  oomKills: null,
  oomGroupKills: null,
  ioReadBytes: null,
  ioWriteBytes: null,
  cpuPressureMs: null,
  memoryPressureMs: null,
  ioPressureMs: null,
};

export interface EndedTaskFacts {
  readonly execution: Execution;
  /** Undefined if the task had no outputs. */
  readonly taken: OutputsTaken | undefined;
  readonly output: TaskOutput;
  readonly progress: string | null;
  readonly execs: readonly TaskExec[];
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly phasesMs: PhaseTimes;
  readonly removal: Removal;
  readonly build?: BuildReport | undefined;
}

export function buildResult({ container, command }: TaskPlan, facts: EndedTaskFacts): TaskResult {
  const { pinned, places } = container;
  const { packaged } = command;
  const { exit, cause, usage, wallMs, diskReport } = facts.execution;
  // After a stop, an error is only its consequence.
  const error = cause === null ? (facts.execution.error ?? facts.taken?.error ?? null) : null;
  return {
    id: places.id,
    stack: pinned.stack,
    revision: pinned.revision,
    image: pinned.image.digest,
    ...(packaged === undefined ? {} : { code: toCodeReport(packaged) }),
    verdict: decideVerdict(facts.execution, error),
    exitCode: exit?.exitCode ?? null,
    signal: exit === null || exit.signal === null ? null : signalName(exit.signal),
    retryable: isRetryable(error),
    error: error?.toJSON() ?? null,
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    phasesMs: facts.phasesMs,
    ...(facts.build === undefined ? {} : { build: facts.build }),
    usage: {
      wallMs: wallMs === null ? null : Math.round(wallMs),
      ...(usage ?? NO_USAGE),
      diskPeakBytes: diskReport?.peakBytes ?? null,
      diskPeakInodes: diskReport?.peakInodes ?? null,
    },
    output: facts.output,
    progress: facts.progress,
    ...(facts.execs.length === 0 ? {} : { execs: facts.execs }),
    ...(facts.taken === undefined ? {} : { outputs: facts.taken.outputs }),
    ...facts.removal,
  };
}

const toCodeReport = ({ name, revision, image }: PinnedPackage): CodeReport => ({
  ...{ name, revision, image: image.digest },
});
