/** The store changes by which a worker lets go of a job. Each takes effect only while the worker holds the job's lock. */
import type { MinimalJob } from 'bullmq';
import { StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { isObject } from '../../core/read-fields.ts';
import type { JobResult } from '../job/job-result.ts';
import { parseStored } from '../job/stored-values.ts';
import { HARMLESS_FIELDS } from '../queue-store/lane-settings.ts';
import { parseHistory, toStoredHistory } from './attempt-history.ts';
import type { NextStep } from './choose-next-step.ts';
import type { LockedJob } from './lock-keeper.ts';
import type { RunnerContext } from './runner-context.ts';

/** `late`: another worker has the job, or it is gone; nothing was changed. */
export type Settled = 'settled' | 'late';

export interface EndedAttempt {
  readonly result: JobResult;
  /** How many attempts the store had counted before. */
  readonly countedAttempts: number;
  /** The earlier attempts. */
  readonly history: readonly JobResult[];
  /** One sentence for people. */
  readonly reason: string;
}

type Keep = Pick<RunnerContext, 'keepResultsMs' | 'giveUp'>;

/** The fields that BullMQ reads of an ending job. Not the stored ones, which a hostile producer may have written. */
const toMinimal = (id: string): MinimalJob =>
  ({ id, opts: { attempts: 1 } }) as unknown as MinimalJob;

export async function completeJob(
  { backend, id, token }: LockedJob,
  { result }: EndedAttempt,
  keep: Keep,
): Promise<Settled> {
  const job = toMinimal(id);
  return await settle(keep, () => backend.moveToCompleted(job, result, toKeep(keep), token, false));
}

export async function failJob(job: LockedJob, ended: EndedAttempt, keep: Keep): Promise<Settled> {
  const { backend, id, token } = job;
  const rest = [toKeep(keep), token, false, toFields(ended)] as const;
  return await settle(keep, () => backend.moveToFailed(toMinimal(id), ended.reason, ...rest));
}

/** Queues a further attempt. */
export async function runAgain(
  { backend, id, token }: LockedJob,
  ended: EndedAttempt,
  { delayMs, isCounted }: Extract<NextStep, { kind: 'again' }>,
  keep: Keep,
): Promise<Settled> {
  const fieldsToUpdate = toFields(ended);
  return await settle(keep, async () => {
    if (isCounted && delayMs === 0) {
      await backend.retryJob(id, false, token, { fieldsToUpdate });
    } else {
      const options = { skipAttempt: !isCounted, fieldsToUpdate };
      await backend.moveToDelayed(id, Date.now(), delayMs, token, options);
    }
  });
}

/** Hands the job back as if it had not been taken. With a delay, no worker gets it before that time. */
export async function handBack(
  { backend, id, token }: LockedJob,
  keep: Keep,
  delayMs?: number,
): Promise<Settled> {
  return await settle(keep, async () => {
    if (delayMs === undefined) await backend.moveJobFromActiveToWait(id, token);
    else await backend.moveToDelayed(id, Date.now(), delayMs, token, { skipAttempt: true });
  });
}

/** Whether the store has this attempt after a `late` change: a call whose answer was lost is repeated, and finds that the first took effect. */
export async function hasStored(
  { backend, id }: LockedJob,
  { result }: Pick<EndedAttempt, 'result'>,
): Promise<boolean> {
  const stored = await backend.getJobData(id);
  if (stored === undefined) return false;
  const last = parseHistory(parseStored(stored.stacktrace)).at(-1);
  return [parseStored(stored.returnvalue), last].some((value) => isSame(value, result));
}

const isSame = (stored: unknown, { worker, finishedAt }: JobResult): boolean =>
  isObject(stored) &&
  Reflect.get(stored, 'worker') === worker &&
  Reflect.get(stored, 'finishedAt') === finishedAt;

const toKeep = ({ keepResultsMs }: Keep) => ({ age: Math.ceil(keepResultsMs / 1_000) });

const toFields = ({ result, history, reason, countedAttempts }: EndedAttempt) => ({
  ...HARMLESS_FIELDS,
  atm: countedAttempts,
  failedReason: reason,
  stacktrace: toStoredHistory(history, result),
});

const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;

async function settle(keep: Keep, call: () => Promise<unknown>): Promise<Settled> {
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      await call();
      return 'settled';
    } catch (error) {
      if (isFenced(error)) return 'late';
      if (keep.giveUp.aborted || !isOutage(error)) throw error;
    }
    await pause(pauseMs);
  }
}

/** BullMQ's codes: the job is gone, has no lock, is not active, or has another worker's lock. */
const FENCED: readonly unknown[] = [-1, -2, -3, -6];

const isFenced = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && FENCED.includes(error.code);

/** SQLSTATE classes of a server that is gone, shuts down, or has rolled back. */
const SQL_OUTAGE = /^(?:08|40|53|57)...$/;

/** Whether a later call may succeed: the server is gone and did not refuse the call. */
function isOutage(error: unknown): boolean {
  if (error instanceof StackshimError) return error.kind === 'unavailable';
  if (!(error instanceof Error) || error.name === 'ReplyError') return false;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return code === undefined;
  return SQL_OUTAGE.test(code) || /^E[A-Z]+$/.test(code);
}
