/** Checks a taken job before anything is spent on it. The job is hostile. Pure. */
import type { Job } from 'bullmq';
import { type ErrorJson, StackshimError, toStackshimError } from '../../core/errors.ts';
import { isObject, parseJson, withoutUndefined } from '../../core/read-fields.ts';
import type { JobTerms } from '../../spec/policy.ts';
import { showBytes } from '../../spec/quantities.ts';
import type { CancelMark, JobData } from '../job/job-data.ts';
import { isJobId } from '../job/lane.ts';
import { parseJobData } from '../job/parse-job.ts';
import { toStorableText } from '../job/storable.ts';
import { ownField } from '../job/stored-values.ts';
import { ENTRY_BYTES, oversizeOf } from '../queue-store/oversize.ts';
import type { TakenJob } from '../taken-job.ts';
import { type AttemptCounts, DEAD_WORKERS } from './attempt-history.ts';
import { DEAD_WORKERS_BUDGET } from './choose-next-step.ts';
import { type NoTask, withoutTask } from './job-outcome.ts';

type Checked = { readonly kind: 'job'; readonly data: JobData } | NoTask;

const QUOTED_CHARS = 300;

/** Returns the job's data, or a final outcome if the job must not run: cancelled, malformed, or dangerous to its workers. */
export function checkJob(taken: TakenJob, counts: AttemptCounts, terms: JobTerms): Checked {
  const { job } = taken;
  // Only someone who writes to the store by hand can create a job with such an id.
  if (!isJobId(taken.id)) return refuse(`its id is not valid: ${quote(taken.id)}`);
  const bytes = oversizeOf(job.data);
  if (bytes !== undefined) {
    return refuse(`its entry in the store has ${bytes} bytes, more than ${showBytes(ENTRY_BYTES)}`);
  }
  const mark = findCancelMark(job.data);
  if (mark !== undefined) return toCancelled(mark);
  if (typeof job.deferredFailure === 'string' && job.deferredFailure !== '') {
    return refuse(`the store says that it must fail: ${quote(job.deferredFailure)}`);
  }
  if (usesMoreOfBullmq(job)) return refuse("it uses BullMQ's flows or deduplication");
  const { stalledCounter, attemptsStarted } = job;
  // Deaths since the job was last given up for them: a client's retry resets the starts, but keeps the earlier attempts.
  const deaths = Math.min(stalledCounter - counts.deadWorkers, attemptsStarted - 1);
  if (deaths >= DEAD_WORKERS_BUDGET) {
    const message = `run job: ${deaths} workers died or lost their store while they ran it`;
    const details = { [DEAD_WORKERS]: stalledCounter };
    return withoutTask(new StackshimError('ERR_STACKSHIM_JOB_ENDS_WORKERS', message, { details }));
  }
  try {
    return { kind: 'job', data: parseJobData(job.data, terms) };
  } catch (error) {
    return withoutTask(toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', 'read job'));
  }
}

/** Empty fields do not count: a worker that queues a further attempt empties them. */
function usesMoreOfBullmq({ parent, parentKey, deduplicationId }: Job): boolean {
  const hasParent = parent !== undefined && parent.id !== '';
  return hasParent || (parentKey ?? '') !== '' || (deduplicationId ?? '') !== '';
}

const quote = (text: string): string => JSON.stringify(toStorableText(text, QUOTED_CHARS));

const refuse = (why: string): NoTask =>
  withoutTask(new StackshimError('ERR_STACKSHIM_JOB_REFUSED', `run job: ${why}`));

/** Reads the mark of a cancelled job; undefined without one. */
function findCancelMark(data: unknown): CancelMark | undefined {
  const mark = ownField(data, 'cancelled');
  if (!isObject(mark)) return undefined;
  const { at, by }: Record<string, unknown> = { ...mark };
  return { at: typeof at === 'string' ? at : '', by: typeof by === 'string' ? by : undefined };
}

/** Like `findCancelMark`, for stored JSON. Data that is not JSON has no mark: the job is refused when it is taken. */
export const findStoredMark = (json: string): CancelMark | undefined =>
  findCancelMark(parseJson(json));

export function toCancelled(mark: CancelMark): NoTask {
  return { kind: 'none', state: 'cancelled', error: toCancelError(mark), retryable: false };
}

export function toCancelError({ at, by }: CancelMark): ErrorJson {
  const who = by === undefined ? '' : ` by ${quote(by)}`;
  const details = withoutUndefined({ at: at.slice(0, QUOTED_CHARS), by });
  const message = `run job: it was cancelled${who}`;
  return new StackshimError('ERR_STACKSHIM_JOB_CANCELLED', message, { details }).toJSON();
}
