/** Reads what a task with `log` has left: what it was, and how it ended. */
import { existsSync, readdirSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import {
  type ImageDigest,
  isTaskId,
  isTenantName,
  type StackName,
  type TaskId,
  type TenantName,
} from '../../core/ids.ts';
import { type Layout, reportDir, reportsDir } from '../../core/layout.ts';
import {
  date,
  FieldFault,
  integer,
  isObject,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  orNull,
  type Reader,
  text,
  textThat,
} from '../../core/read-fields.ts';
import type { TaskOrigin } from '../../spec/task-input.ts';
import { imageDigest, readStoredJson, stackName } from '../../store/stored-json.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { owner, taskExit } from '../records/read-record.ts';
import type { TaskExit } from '../records/record.ts';
import type { TaskResult } from '../result.ts';
import { type ReportPlaces, reportPlaces } from './report-places.ts';

export const REPORT_VERSION = 1;

/** A value that `JSON.parse` returns for an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What the task is, stored before anything of it is made. */
export interface ReportedTask {
  readonly id: TaskId;
  readonly owner: Owner;
  readonly stack: StackName;
  readonly revision: number;
  readonly image: ImageDigest;
  readonly tenant?: TenantName;
  readonly origin?: TaskOrigin;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The options of the task as they were resolved: with defaults, and within the policy. */
  readonly spec: JsonObject;
}

/** How the task ended. */
export interface ReportedEnd {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Null: its owner died before it knew the result. */
  readonly result: TaskResult | null;
  /** How the command ended, as far as the task's record tells; null: unknown. */
  readonly exit: TaskExit | null;
}

/** `open`: its owner will store its end. `ended`: its result is known. `lost`: its owner died, so that nobody knows its result. */
export type ReportState = 'open' | 'ended' | 'lost';

export interface TaskReport {
  readonly task: ReportedTask;
  /** Null: not stored, or not yet. */
  readonly end: ReportedEnd | null;
  readonly state: ReportState;
  readonly dir: string;
}

const jsonObject: Reader<JsonObject> = (value, field) => {
  if (isObject(value)) return value as JsonObject;
  throw new FieldFault(field, 'not an object');
};

const version = oneOf(REPORT_VERSION);

const reportedTask: Reader<ReportedTask & Versioned> = objectOf<ReportedTask & Versioned>({
  version,
  writtenBy: text,
  id: textThat<TaskId>(isTaskId, 'not a task id'),
  owner,
  stack: stackName,
  revision: integer(0),
  image: imageDigest,
  tenant: optional(textThat<TenantName>(isTenantName, 'not a tenant name')),
  origin: optional(oneOf('caller', 'job')),
  command: listOf(text),
  labels: mapOf(text),
  createdAt: date,
  spec: jsonObject,
});

interface Versioned {
  readonly version: typeof REPORT_VERSION;
  readonly writtenBy: string;
}

/** Checks only the fields that decide what is printed: later versions of stackshim add others. */
const taskResult: Reader<TaskResult> = (value, field) => {
  const result = jsonObject(value, field);
  const has = (name: string, reader: Reader<unknown>) =>
    reader(result[name], field === '' ? name : `${field}.${name}`);
  has('id', textThat(isTaskId, 'not a task id'));
  has('verdict', text);
  has('exitCode', orNull(integer(0)));
  has('signal', orNull(text));
  has('error', orNull(jsonObject));
  has('output', jsonObject);
  has('usage', jsonObject);
  has('removed', (is, at) => {
    if (typeof is !== 'boolean') throw new FieldFault(at, 'not a boolean');
    return is;
  });
  has('leftovers', listOf(text));
  return result as unknown as TaskResult;
};

const reportedEnd: Reader<ReportedEnd & Versioned> = objectOf<ReportedEnd & Versioned>({
  version,
  writtenBy: text,
  at: date,
  result: orNull(taskResult),
  exit: orNull(taskExit),
});

const corrupt = {
  code: 'ERR_STACKSHIM_RECORD_CORRUPT',
  newest: REPORT_VERSION,
  hint: 'run stackshim rm ID to remove what that task has left; see docs/recovery.md',
} as const;

/** The ids of all reports, in alphabetical order. Only a folder is a report: others may have put a file beside them. */
export const listReportIds = (layout: Layout): readonly TaskId[] =>
  foldersIn(reportsDir(layout)).filter(isTaskId).sort();

const foldersIn = (path: string): readonly string[] =>
  (unlessMissing(() => readdirSync(path, { withFileTypes: true })) ?? [])
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** The report of a task; undefined if there is none. Throws ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. */
export const readReport = (layout: Layout, id: TaskId): TaskReport | undefined =>
  readReportAt(reportDir(layout, id));

/** Like {@link readReport}, for a report of any root folder. */
export function readReportAt(dir: string): TaskReport | undefined {
  const places = reportPlaces(dir);
  const { taskFile } = places;
  const stored = readStoredJson(taskFile, {
    ...corrupt,
    reader: reportedTask,
    what: 'task report',
  });
  if (stored === undefined) return undefined;
  const { version: _, writtenBy: __, ...task } = stored;
  const end = readEnd(places) ?? null;
  if (end !== null) return { task, end, state: stateOfEnd(end), dir };
  if (isOpen(places, task)) return { task, end, state: 'open', dir };
  // The end may have been stored between the two looks.
  const later = readEnd(places) ?? null;
  return { task, end: later, state: later === null ? 'lost' : stateOfEnd(later), dir };
}

const stateOfEnd = ({ result }: ReportedEnd): ReportState => (result === null ? 'lost' : 'ended');

/** Whether the task's owner will still store the end. */
const isOpen = ({ draftFile }: ReportPlaces, { owner: process }: ReportedTask): boolean =>
  existsSync(draftFile) && isOwnerAlive(process);

/** Throws ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. Exported for its test. */
export function readEnd({ endFile }: Pick<ReportPlaces, 'endFile'>): ReportedEnd | undefined {
  const stored = readStoredJson(endFile, { ...corrupt, reader: reportedEnd, what: 'task report' });
  if (stored === undefined) return undefined;
  const { version: _, writtenBy: __, ...end } = stored;
  return end;
}
