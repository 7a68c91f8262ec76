/** Checks a job that was taken before anything is spent on it. Pure; the job is hostile. */
import type { Job } from 'bullmq';
import { type ErrorJson, StackshimError, toStackshimError } from '../../core/errors.ts';
import { isObject, parseJson } from '../../core/read-fields.ts';
import type { JobTerms } from '../../spec/policy.ts';
import { showBytes } from '../../spec/quantities.ts';
import type { CancelMark, JobData } from '../job/job-data.ts';
import { isJobId } from '../job/lane.ts';
import { parseJobData } from '../job/parse-job.ts';
import { toStorableText } from '../job/storable.ts';
import { ENTRY_BYTES, oversizeOf } from '../queue-store/oversize.ts';
import type { TakenJob } from '../taken-job.ts';
import { type AttemptCounts, DEAD_WORKERS } from './attempt-history.ts';
import { DEAD_WORKERS_BUDGET } from './choose-next-step.ts';
import type { Outcome } from './job-outcome.ts';

export type Checked =
  | { readonly kind: 'job'; readonly data: JobData }
  | Extract<Outcome, { kind: 'none' }>;

const QUOTED_CHARS = 300;

/** A final outcome for a job that must not run: cancelled, malformed, or a danger to its workers. */
export function checkJob(taken: TakenJob, counts: AttemptCounts, terms: JobTerms): Checked {
  const { job } = taken;
  // Only whoever writes to the store by hand can name a job like this.
  if (!isJobId(taken.id)) {
    return refuse('ERR_STACKSHIM_JOB_REFUSED', `its id is not valid: ${quote(taken.id)}`);
  }
  const bytes = oversizeOf(job.data);
  if (bytes !== undefined) {
    const most = showBytes(ENTRY_BYTES);
    return refuse(
      'ERR_STACKSHIM_JOB_REFUSED',
      `its entry in the store has ${bytes} bytes, more than ${most}`,
    );
  }
  const mark = findCancelMark(job.data);
  if (mark !== undefined) return toCancelled(mark);
  if (typeof job.deferredFailure === 'string' && job.deferredFailure !== '') {
    return refuse(
      'ERR_STACKSHIM_JOB_REFUSED',
      `the store says that it must fail: ${quote(job.deferredFailure)}`,
    );
  }
  if (usesMoreOfBullmq(job)) {
    return refuse('ERR_STACKSHIM_JOB_REFUSED', "it uses BullMQ's flows or deduplication");
  }
  const deaths = countDeaths(job, counts);
  if (deaths >= DEAD_WORKERS_BUDGET) {
    return refuse(
      'ERR_STACKSHIM_JOB_ENDS_WORKERS',
      `${deaths} workers died or lost their store while they ran it`,
      { [DEAD_WORKERS]: job.stalledCounter },
    );
  }
  try {
    return { kind: 'job', data: parseJobData(job.data, terms) };
  } catch (error) {
    const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'read job');
    return { kind: 'none', state: 'error', error: known.toJSON(), retryable: false };
  }
}

/** A worker that queues a further attempt leaves these fields empty. */
function usesMoreOfBullmq({ parent, parentKey, deduplicationId }: Job): boolean {
  const hasParent = parent !== undefined && parent.id !== '';
  return hasParent || (parentKey ?? '') !== '' || (deduplicationId ?? '') !== '';
}

/** Since the job was last given up for that reason: a retry by a client forgets starts, and keeps the earlier attempts. */
function countDeaths({ stalledCounter, attemptsStarted }: Job, counts: AttemptCounts): number {
  return Math.min(stalledCounter - counts.deadWorkers, attemptsStarted - 1);
}

const quote = (text: string): string => JSON.stringify(toStorableText(text, QUOTED_CHARS));

function refuse(
  code: 'ERR_STACKSHIM_JOB_REFUSED' | 'ERR_STACKSHIM_JOB_ENDS_WORKERS',
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): Checked {
  const error = new StackshimError(code, `run job: ${message}`, { details });
  return { kind: 'none', state: 'error', error: error.toJSON(), retryable: false };
}

/** The mark of a cancelled job; undefined without one. */
function findCancelMark(data: unknown): CancelMark | undefined {
  if (!isObject(data) || !Object.hasOwn(data, 'cancelled')) return undefined;
  const mark: unknown = Reflect.get(data, 'cancelled');
  if (!isObject(mark)) return undefined;
  const { at, by }: Record<string, unknown> = { ...mark };
  return {
    at: typeof at === 'string' ? at : '',
    ...(typeof by === 'string' ? { by } : {}),
  };
}

/** The same of data as the store keeps it. Data that is not JSON has no mark: the job is refused when it is taken. */
export const findStoredMark = (json: string): CancelMark | undefined =>
  findCancelMark(parseJson(json));

export function toCancelled(mark: CancelMark): Extract<Outcome, { kind: 'none' }> {
  return { kind: 'none', state: 'cancelled', error: toCancelError(mark), retryable: false };
}

export function toCancelError({ at, by }: CancelMark): ErrorJson {
  const who = by === undefined ? '' : ` by ${quote(by)}`;
  const details = { at: at.slice(0, QUOTED_CHARS), ...(by === undefined ? {} : { by }) };
  const message = `run job: it was cancelled${who}`;
  return new StackshimError('ERR_STACKSHIM_JOB_CANCELLED', message, { details }).toJSON();
}
