/** Builds the log event for the end of an attempt. It contains no payload, no output of a task and no value from the job. Pure. */
import { toPrintable } from '../../core/errors.ts';
import type { JobResult } from '../job/job-result.ts';
import type { WorkerEvent } from '../worker-events.ts';
import { toReason } from './job-outcome.ts';

type JobEnded = Extract<WorkerEvent, { readonly type: 'job_ended' }>;

export function toEndedEvent(
  result: JobResult,
  end: Pick<JobEnded, 'job' | 'attempt' | 'willRetry' | 'durationMs'>,
): JobEnded {
  const { state, retryable, error, task } = result;
  const reason = toReason(result);
  // The error for an invalid field quotes its value, which may be part of a payload or a secret of the environment.
  const value = error?.details?.['value'];
  const shown =
    typeof value === 'string' ? reason.replaceAll(JSON.stringify(value), '"…"') : reason;
  // One line of bounded length that cannot control a terminal.
  const line = toPrintable(shown);
  return {
    ...{ type: 'job_ended', ...end },
    ...{ state, retryable },
    task: task?.id ?? null,
    verdict: task?.verdict ?? null,
    exitCode: task?.exitCode ?? null,
    wallMs: task?.usage?.wallMs ?? null,
    error: error?.code ?? null,
    reason: line.length <= LINE_CHARS ? line : `${line.slice(0, LINE_CHARS - 1)}…`,
  };
}

const LINE_CHARS = 300;
