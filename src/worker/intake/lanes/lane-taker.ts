/** Takes a lane's jobs like BullMQ's worker, but on the shared connection and with the reason for no job. Adds the next job of a schedule. */
import { type IQueueBackend, Job, type JobJson, JobScheduler, type MinimalJob } from 'bullmq';
import { messageOf, StackshimError } from '../../../core/errors.ts';
import { invalidField } from '../../../spec/field-errors.ts';
import { type Lane, laneName } from '../../job/lane.ts';
import { toStorableText } from '../../job/storable.ts';
import { HARMLESS_FIELDS } from '../../queue-store/lane-settings.ts';
import { strangeKindOf } from '../../queue-store/oversize.ts';
import type { QueueStore } from '../../queue-store/queue-store.ts';
import { hasDay } from './cron-days.ts';

export type LaneTaker = ReturnType<typeof openLaneTaker>;

export interface TakeReply {
  readonly job?: Job;
  /** Why the schedule's next job was not added. */
  readonly scheduleError?: unknown;
  /** Why the taken entry is not a job. It has left the lane, which may have more entries. */
  readonly strange?: StackshimError;
  /** For how long the lane is rate limited. */
  readonly limitedForMs?: number | undefined;
  /** When the first delayed job is due, by the backend's clock. */
  readonly dueMs?: number | undefined;
}

/** Opens the taker of one lane. BullMQ stores `worker` with the job, for people who look. */
export function openLaneTaker(store: QueueStore, lane: Lane, worker: string) {
  const backend = store.backend(lane);
  // A job only asks its queue for the name and the backend. The connection belongs to the store.
  const queue = new JobScheduler(laneName(lane), { connection: {} }, () => backend);
  // Without a listener, an error event would end the process. Errors reach the caller of each operation.
  queue.on('error', () => undefined);
  return {
    backend,
    async take(token: string): Promise<TakeReply> {
      const [data, id, limitedForMs, dueMs] = await moveToActive(backend, token, worker);
      if (!data) {
        const positive = (ms: number) => (ms > 0 ? ms : undefined);
        return { limitedForMs: positive(limitedForMs), dueMs: positive(dueMs) };
      }
      const job = toJob(queue, data, id);
      // A real job's entry has the time when it was taken, whoever wrote its data.
      const kind = data.processedOn === undefined ? strangeKindOf(job.data) : undefined;
      if (kind !== undefined) return { strange: strangeEntry(id, kind) };
      job.token = token;
      return { job, scheduleError: await addNextOfSchedule(queue, job) };
    },
  };
}

type NextJob = readonly [
  data: JobJson | undefined,
  id: string,
  limitedForMs: number,
  dueMs: number,
];

/** Fails a taken job that BullMQ cannot read or count: BullMQ throws for such a job, which would be taken for ever. */
async function moveToActive(
  backend: IQueueBackend,
  token: string,
  worker: string,
): Promise<NextJob> {
  try {
    const [data, id = '', limitedForMs = 0, dueMs = 0] = await backend.moveToActive(token, worker);
    return [data, id, limitedForMs, dueMs];
  } catch (error) {
    if (isOfJob(error)) await failUnreadable(backend, token);
    throw error;
  }
}

/** Whether the error is about the taken job: Redis counts a job's starts in its entry after it has taken the job. */
const isOfJob = (error: unknown): boolean =>
  error instanceof SyntaxError ||
  error instanceof TypeError ||
  // Values nested too deep for the driver.
  error instanceof RangeError ||
  /hash value is not an integer/.test(messageOf(error));

/** The taken job is looked for among at most this many active jobs of the lane. */
const MOST_ACTIVE = 1_000;
const QUOTED_CHARS = 200;
const UNREADABLE = 'error: the entry of the job in the store is damaged: it cannot be read';

/** Tries all active jobs: the store fails only the job that was taken with the token. */
async function failUnreadable(backend: IQueueBackend, token: string): Promise<void> {
  const ids = (await backend.getRanges(['active'], 0, MOST_ACTIVE, false)).flat();
  for (const id of ids) {
    const job = { id, opts: {}, attemptsMade: 0 } as MinimalJob;
    try {
      const fieldsToUpdate = { ...HARMLESS_FIELDS, atm: 0 };
      await backend.moveToFailed(job, UNREADABLE, false, token, false, fieldsToUpdate);
      return;
    } catch {
      // The lock has another token: another worker's job.
    }
  }
}

function strangeEntry(id: string, kind: string): StackshimError {
  const shown = JSON.stringify(toStorableText(id, QUOTED_CHARS));
  const message = `take job ${shown}: the store has a ${kind} in place of the job's entry; it was taken out of its lane`;
  return new StackshimError('ERR_STACKSHIM_JOB_REFUSED', message);
}

/** Data that is not JSON becomes undefined, an invalid job; the job's handler reports that. */
function toJob(queue: JobScheduler, data: JobJson, id: string): Job {
  try {
    return Job.fromJSON(queue, data, id);
  } catch {
    const job = Job.fromJSON(queue, { ...data, data: '{}' }, id);
    job.data = undefined;
    return job;
  }
}

/** The options as BullMQ stores them. */
type ScheduledJobOptions = Job['opts'] & {
  readonly repeat?: Parameters<JobScheduler['upsertJobScheduler']>[1];
};

/** Adds the schedule's next job unless the schedule is gone. Returns an error, never rejects: the taken job is valid even if its schedule is not. */
async function addNextOfSchedule(queue: JobScheduler, job: Job): Promise<unknown> {
  const { repeatJobKey } = job;
  const { repeat, ...opts }: ScheduledJobOptions = job.opts;
  if (repeatJobKey === undefined || repeat === undefined) return undefined;
  try {
    if (!(await queue.isJobScheduler(repeatJobKey))) return undefined;
    const pattern: unknown = repeat?.pattern;
    if (typeof pattern === 'string' && !hasDay(pattern)) {
      const shown = pattern.slice(0, QUOTED_CHARS);
      throw invalidField('pattern', 'it has no day, or it is too long', shown);
    }
    const how = { override: false, ...(job.id === undefined ? {} : { producerId: job.id }) };
    await queue.upsertJobScheduler(repeatJobKey, repeat, job.name, job.data, opts, how);
    return undefined;
  } catch (error) {
    return error;
  }
}
