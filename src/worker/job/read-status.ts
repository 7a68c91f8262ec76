/** The store's record of a job → JobStatus. Anyone who can write to the store may have written the record, so nothing in it is trusted. Pure. */
import type { JobJson } from 'bullmq';
import { StackshimError } from '../../core/errors.ts';
import { isObject } from '../../core/read-fields.ts';
import {
  type Artefact,
  type FinalState,
  isFinalState,
  type JobResult,
  type JobState,
  type JobStatus,
  type LiveState,
} from './job-result.ts';
import { type JobPlace, jobName } from './lane.ts';
import { parseStored, readFields, textOrNull, toCount, toIsoTime } from './stored-values.ts';
import { readWaitNote } from './wait-note.ts';

/** A job's record in the store, and the list that contains the job: `waiting`, `active`, `completed`, … */
export interface StoredJob {
  readonly json: JobJson;
  readonly list: string;
}

/** Builds the status even from a damaged record: unreadable fields become null or empty. */
export function readStatus(place: JobPlace, { json, list }: StoredJob): JobStatus {
  const data = readFields(json.data);
  const attempts = readAttempts(json.stacktrace);
  const result = readEnd({ json, list }, attempts);
  const live = list === 'active' && result === null ? readLive(json.progress) : null;
  const waiting = list === 'active' || result !== null ? null : readWaitNote(json);
  return {
    job: jobName(place),
    state: result?.state ?? toState(list, live, data['cancelled'] !== undefined),
    stack: textOrNull(data['stack']),
    code: textOrNull(data['code']),
    labels: readLabels(data['labels']),
    queuedAt: toDate(json.timestamp),
    runAt: list === 'delayed' ? (waiting?.nextTryAt ?? readRunAt(json, attempts)) : null,
    live,
    waiting,
    // The last attempt of a failed job is its result.
    attempts: result !== null && attempts.at(-1) === result ? attempts.slice(0, -1) : attempts,
    result,
  };
}

function toState(list: string, live: LiveState | null, isCancelled: boolean): JobState {
  if (list === 'active') return live?.state ?? 'preparing';
  return isCancelled ? 'cancelled' : 'queued';
}

/** Null for a job that has not ended. */
function readEnd({ json, list }: StoredJob, attempts: readonly JobResult[]): JobResult | null {
  if (list === 'completed') return readResult(parseStored(json.returnvalue)) ?? unknownResult(json);
  if (list === 'failed') return attempts.at(-1) ?? unknownResult(json);
  return null;
}

/** The result of a job that no worker of stackshim ended. */
function unknownResult(json: JobJson): JobResult {
  const reason = typeof json.failedReason === 'string' ? json.failedReason.slice(0, 1000) : '';
  const error = new StackshimError(
    'ERR_STACKSHIM_JOB_RESULT_UNKNOWN',
    `read result of job: ${reason === '' ? 'the store has none' : reason}`,
  );
  const { attemptsMade: attempt, finishedOn } = json;
  return toResult('error', { attempt, error: error.toJSON(), finishedAt: toDate(finishedOn) });
}

/** Reads the results of the failed attempts. Skips entries that no worker of stackshim wrote. */
function readAttempts(stacktrace: unknown): readonly JobResult[] {
  const rows = parseStored(stacktrace);
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: unknown) => readResult(parseStored(row)) ?? []);
}

/** Undefined for a value that is not the result of a job. */
function readResult(value: unknown): JobResult | undefined {
  const read = readFields(value);
  return isFinalState(read['state']) ? toResult(read['state'], read) : undefined;
}

function toResult(state: FinalState, read: Readonly<Record<string, unknown>>): JobResult {
  const { error, task, artefacts } = read;
  return {
    state,
    attempt: toCount(read['attempt']),
    error: hasTexts(error, 'code', 'kind', 'message', 'hint') ? withDetails(error) : null,
    retryable: read['retryable'] === true,
    startedAt: textOrNull(read['startedAt']),
    finishedAt: textOrNull(read['finishedAt']) ?? toDate(undefined),
    worker: textOrNull(read['worker']) ?? '',
    code: textOrNull(read['code']),
    progress: textOrNull(read['progress']),
    artefacts: Array.isArray(artefacts) ? artefacts.flatMap(readArtefact) : [],
    task: hasTexts(task, 'id', 'verdict') ? (task as unknown as JobResult['task']) : null,
  };
}

const withDetails = (error: object) =>
  ({
    ...error,
    details: readFields(Reflect.get(error, 'details')),
  }) as unknown as JobResult['error'];

function readArtefact(value: unknown): readonly Artefact[] {
  const { path, sizeBytes } = readFields(value);
  if (typeof path !== 'string') return [];
  return [{ path, sizeBytes: toCount(sizeBytes) }];
}

/** Null for anything but the live state that a worker of stackshim writes. */
function readLive(progress: unknown): LiveState | null {
  const read = readFields(progress);
  const { state } = read;
  if (state !== 'preparing' && state !== 'running') return null;
  return {
    state,
    attempt: toCount(read['attempt']),
    worker: textOrNull(read['worker']) ?? '',
    task: textOrNull(read['task']) ?? '',
    startedAt: textOrNull(read['startedAt']),
    progress: textOrNull(read['progress']),
  };
}

/** The delay of a further attempt counts from the end of the previous attempt. */
function readRunAt(json: JobJson, attempts: readonly JobResult[]): string {
  const from = Date.parse(attempts.at(-1)?.finishedAt ?? '') || json.timestamp;
  return toDate(from + toCount(json.delay));
}

function readLabels(value: unknown): Readonly<Record<string, string>> {
  const labels = Object.entries(readFields(value));
  return Object.fromEntries(
    labels.filter((label): label is [string, string] => typeof label[1] === 'string'),
  );
}

const hasTexts = (value: unknown, ...names: readonly string[]): value is object =>
  isObject(value) && names.every((name) => typeof Reflect.get(value, name) === 'string');

/** Returns the start of 1970 for anything but a time. */
const toDate = (ms: unknown): string => toIsoTime(ms) ?? new Date(0).toISOString();
