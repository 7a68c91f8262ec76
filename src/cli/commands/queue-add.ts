/** `stackshim queue add`: queues a job. With --wait, passes the job's output and exit status on, as `run` does. */
import { unlessAborted } from '../../core/unless-aborted.ts';
import type { Queues } from '../../worker/client/queues.ts';
import type { JobStatus } from '../../worker/job/job-result.ts';
import { toReason } from '../../worker/run/job-outcome.ts';
import { type JobLineOptions, toJobRequest, toNumber } from '../define/queue-job-options.ts';
import { SHIM_FAILED, signalNumber, statusOfResult, statusOfSetupFailure } from '../exit-status.ts';
import { printJson } from '../print/print.ts';
import { reportError, writeMessage } from '../print/printable.ts';
import { writeJobLog } from '../queues/job-log-output.ts';
import { namingOptions } from '../queues/naming-options.ts';
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';
import { listenForStops } from '../run/caller-signals.ts';

interface QueueAddOptions extends QueueOptions, JobLineOptions {
  readonly delay?: string;
  readonly key?: string;
  readonly unbound?: boolean;
  readonly wait?: boolean;
}

/** Resolves to the exit status. */
export async function queueAdd(
  queue: string,
  command: readonly string[],
  options: QueueAddOptions,
): Promise<number> {
  const { delay, key, unbound } = options;
  const priority = toNumber('priority', options.priority);
  const request = await toJobRequest(command, options);
  return await withQueues(options, async (queues) => {
    const { job } = await namingOptions('queue add', () =>
      queues.enqueue(queue, request, { delay, key, unbound, priority }),
    );
    if (options.wait === true) return await passOn(queues, job, options.json === true);
    await (options.json ? printJson({ job }) : printName(job));
    return 0;
  });
}

/** Waits for the end of the job. A signal ends the waiting, not the job. */
async function passOn(queues: Queues, job: string, asJson: boolean): Promise<number> {
  const stops = listenForStops({
    onStop: () =>
      writeMessage(
        `stackshim: stopped waiting for job ${job}, which goes on\n  hint: stackshim queue cancel ${job} ends it\n`,
      ),
  });
  const signal = AbortSignal.any([stops.signals.signal, stops.signals.killSignal]);
  const waiting = async () => {
    if (!asJson) {
      const pieces = queues.logs(job, { follow: true, signal });
      await writeJobLog(pieces, false, stops.onReaderGone);
    }
    return await queues.wait(job, { signal });
  };
  try {
    // A store that does not answer must not delay the reaction to a signal.
    const status = await unlessAborted(waiting(), [signal]);
    if (asJson) await printJson(status);
    else reportEnd(status);
    return statusOfJob(status);
  } catch (error) {
    if (!signal.aborted) throw error;
    return 128 + signalNumber(stops.received() ?? 'SIGTERM');
  } finally {
    stops.close();
  }
}

/** Prints nothing about a command that ended by itself. */
function reportEnd({ job, state, result }: JobStatus): void {
  if (state === 'complete') return;
  if (result === null) writeMessage(`stackshim: job ${job} was cancelled\n`);
  else if (result.error !== null) reportError(result.error);
  else if (!['failed', 'signaled'].includes(result.task?.verdict ?? '')) {
    writeMessage(`stackshim: job ${job} ended as ${toReason(result)}\n`);
  }
}

const CANCELLED = 128 + signalNumber('SIGTERM');

function statusOfJob({ state, result }: JobStatus): number {
  if (result === null || result.task === null) {
    return state === 'cancelled' ? CANCELLED : statusOfSetupFailure(result?.error ?? null);
  }
  // Another program may have written the result, with an unknown verdict.
  const status: number | undefined = statusOfResult(result.task, undefined);
  return status ?? SHIM_FAILED;
}
