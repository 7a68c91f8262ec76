/** The earlier attempts of a job, as the store keeps them: anybody who writes to the store may have changed them. Pure. */
import { isObject, parseJson } from '../../core/read-fields.ts';
import { isFinalState, type JobResult } from '../job/job-result.ts';
import { isCount } from '../job/stored-values.ts';

/** How many attempts stay with the job. */
const KEPT = 20;
/** No worker stores a longer one. */
const MAX_CHARS = 4_194_304;

/** Names in the details of the error of a job that was given up; a later retry by a client begins to count anew. */
const GIVEN_UP = 'givenUp';
export const DEAD_WORKERS = 'deadWorkers';

/** Oldest first. Leaves out everything that is not a result. */
export function parseHistory(stored: unknown): readonly JobResult[] {
  if (!Array.isArray(stored)) return [];
  return stored.slice(-KEPT).flatMap((text) => parseResult(text) ?? []);
}

function parseResult(text: unknown): JobResult | undefined {
  if (typeof text !== 'string' || text.length > MAX_CHARS) return undefined;
  const value = parseJson(text);
  if (!isObject(value)) return undefined;
  const { state, attempt, retryable, error, task }: Record<string, unknown> = { ...value };
  const isResult =
    isFinalState(state) &&
    Number.isSafeInteger(attempt) &&
    typeof retryable === 'boolean' &&
    (error === null || isObject(error)) &&
    (task === null || isObject(task));
  return isResult ? (value as unknown as JobResult) : undefined;
}

/** As the store keeps it, with one attempt more. */
export const toStoredHistory = (history: readonly JobResult[], next: JobResult): string =>
  JSON.stringify([...history, next].slice(-KEPT).map((result) => JSON.stringify(result)));

export type AttemptCounts = Readonly<ReturnType<typeof countAttempts>>;

export function countAttempts(history: readonly JobResult[]) {
  let platformFaults = 0;
  for (const result of history) {
    const isOver = !result.retryable || detailOf(result, GIVEN_UP) === true;
    platformFaults = isOver ? 0 : platformFaults + 1;
  }
  const dead = history.map((result) => detailOf(result, DEAD_WORKERS)).filter(isCount);
  return {
    /** The number of the last attempt; 0: there was none. */
    attempts: Math.max(0, ...history.map(({ attempt }) => attempt).filter(isCount)),
    /** Faults of the platform since the last attempt that the task itself ended, or since the job was given up. */
    platformFaults,
    /** Whether an attempt was killed for lack of memory. */
    lackedMemory: history.some(({ task }) => task?.verdict === 'oom_killed'),
    /** How many of the job's workers had died when the job was last given up for that reason. */
    deadWorkers: dead.at(-1) ?? 0,
  };
}

function detailOf({ error }: JobResult, name: string): unknown {
  const details: unknown = error?.details;
  return isObject(details) && Object.hasOwn(details, name) ? Reflect.get(details, name) : undefined;
}

/** The last attempt of a job that is given up. */
export function toGivenUp(result: JobResult): JobResult {
  const { error } = result;
  if (error === null) return result;
  return { ...result, error: { ...error, details: { ...error.details, [GIVEN_UP]: true } } };
}
