/** Builds the result record of a task that has ended. Pure. */
import type { Execution } from './account-task.ts';
import { decideVerdict, type Ending, isRetryable, signalName } from './decide-verdict.ts';
import type { Removal } from './ending/remove-task.ts';
import type { ContainerPlan } from './plan-container.ts';
import type { PhaseTimes, TaskOutput, TaskResult } from './result.ts';

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
  readonly output: TaskOutput;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly phasesMs: PhaseTimes;
  readonly removal: Removal;
}

export function buildResult({ pinned, places }: ContainerPlan, facts: EndedTaskFacts): TaskResult {
  const { exit, cause, usage, wallMs, diskReport } = facts.execution;
  // If the task was stopped, an error is only a consequence of the stop.
  const error = cause === null ? facts.execution.error : null;
  const ending: Ending = {
    exit,
    cause,
    oomKills: usage?.oomKills ?? null,
    diskWasFull: diskReport !== null && (diskReport.wasFull || diskReport.wasHostFull),
  };
  return {
    id: places.id,
    stack: pinned.stack,
    revision: pinned.revision,
    image: pinned.image.digest,
    verdict: decideVerdict(ending),
    exitCode: exit?.exitCode ?? null,
    signal: exit === null || exit.signal === null ? null : signalName(exit.signal),
    retryable: isRetryable(error),
    error: error?.toJSON() ?? null,
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    phasesMs: facts.phasesMs,
    usage: {
      wallMs: wallMs === null ? null : Math.round(wallMs),
      ...(usage ?? NO_USAGE),
      diskPeakBytes: diskReport?.peakBytes ?? null,
      diskPeakInodes: diskReport?.peakInodes ?? null,
    },
    output: facts.output,
    ...facts.removal,
  };
}
