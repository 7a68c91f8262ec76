/** Reads and writes the store's list of a job's earlier attempts. Anyone who can write to the store may have changed it. Pure. */
import { isObject } from '../../core/read-fields.ts';
import { isFinalState, type JobResult } from '../job/job-result.ts';
import { isCount, ownField, readFields } from '../job/stored-values.ts';

/** The most attempts that stay with the job. */
const KEPT = 20;
/** No worker stores a longer result. */
const MAX_CHARS = 4_194_304;

/** Keys in the error details of a job that was given up. With them, counting starts anew after a retry by a client. */
const GIVEN_UP = 'givenUp';
export const DEAD_WORKERS = 'deadWorkers';

/** Parses the results, oldest first. Leaves out everything that is not a result. */
export function parseHistory(stored: unknown): readonly JobResult[] {
  if (!Array.isArray(stored)) return [];
  return stored.slice(-KEPT).flatMap((text) => parseResult(text) ?? []);
}

function parseResult(text: unknown): JobResult | undefined {
  if (typeof text !== 'string' || text.length > MAX_CHARS) return undefined;
  const value = readFields(text);
  const { state, attempt, retryable, error, task } = value;
  const isResult =
    isFinalState(state) &&
    Number.isSafeInteger(attempt) &&
    typeof retryable === 'boolean' &&
    (error === null || isObject(error)) &&
    (task === null || isObject(task));
  return isResult ? (value as unknown as JobResult) : undefined;
}

/** Serialises the history with one more attempt, in the store's form. */
export const toStoredHistory = (history: readonly JobResult[], next: JobResult): string =>
  JSON.stringify([...history, next].slice(-KEPT).map((result) => JSON.stringify(result)));

export type AttemptCounts = Readonly<ReturnType<typeof countAttempts>>;

export function countAttempts(history: readonly JobResult[]) {
  let platformFaults = 0;
  for (const result of history) {
    const isOver = !result.retryable || ownField(result.error?.details, GIVEN_UP) === true;
    platformFaults = isOver ? 0 : platformFaults + 1;
  }
  const dead = history.map(({ error }) => ownField(error?.details, DEAD_WORKERS)).filter(isCount);
  return {
    /** The number of the last attempt; 0 if there was none. */
    attempts: Math.max(0, ...history.map(({ attempt }) => attempt).filter(isCount)),
    /** Platform faults since the last attempt that was not one, or since the job was given up. */
    platformFaults,
    /** Whether an attempt ran out of memory. */
    lackedMemory: history.some(({ task }) => task?.verdict === 'oom_killed'),
    /** How many of the job's workers had died when the job was last given up because of that. */
    deadWorkers: dead.at(-1) ?? 0,
  };
}

/** Marks the result as the last attempt of a job that is given up. */
export function toGivenUp(result: JobResult): JobResult {
  const { error } = result;
  if (error === null) return result;
  return { ...result, error: { ...error, details: { ...error.details, [GIVEN_UP]: true } } };
}
