/** Reads the report of a task with `log`: what the task was, and how it ended. */
import { existsSync, readdirSync } from 'node:fs';
import { unlessFailed, unlessMissing } from '../../core/errors.ts';
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
  flag,
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

/** What the task is; stored before anything else of it exists. */
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
  /** The task's resolved options: with defaults, and within the policy. */
  readonly spec: JsonObject;
}

/** How the task ended. */
export interface ReportedEnd {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Null if the owner died before it knew the result. */
  readonly result: TaskResult | null;
  /** How the command ended, according to the task's record; null: unknown. */
  readonly exit: TaskExit | null;
}

/** `open`: the owner has yet to store the end. `ended`: the result is known. `lost`: the owner died, so nobody knows the result. */
export type ReportState = 'open' | 'ended' | 'lost';

export interface TaskReport {
  readonly task: ReportedTask;
  /** Null if not stored, or not yet. */
  readonly end: ReportedEnd | null;
  readonly state: ReportState;
}

const jsonObject: Reader<JsonObject> = (value, field) => {
  if (isObject(value)) return value as JsonObject;
  throw new FieldFault(field, 'not an object');
};

const version = oneOf(REPORT_VERSION);

const reportedTask = objectOf<ReportedTask & Versioned>({
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
  has('removed', flag);
  has('leftovers', listOf(text));
  return result as unknown as TaskResult;
};

const reportedEnd = objectOf<ReportedEnd & Versioned>({
  version,
  writtenBy: text,
  at: date,
  result: orNull(taskResult),
  exit: orNull(taskExit),
});

const corrupt = {
  what: 'task report',
  code: 'ERR_STACKSHIM_RECORD_CORRUPT',
  newest: REPORT_VERSION,
  hint: 'run stackshim rm ID to remove what that task has left; see docs/recovery.md',
} as const;

/** The ids of all reports, in alphabetical order. Skips files, which others may have put beside the folders of the reports. */
export const listReportIds = (layout: Layout): readonly TaskId[] =>
  (unlessMissing(() => readdirSync(reportsDir(layout), { withFileTypes: true })) ?? [])
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter(isTaskId)
    .sort();

/** The report of a task; undefined if there is none. Throws ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. */
export const readReport = (layout: Layout, id: TaskId): TaskReport | undefined =>
  readReportAt(reportDir(layout, id));

const UNREADABLE = ['ERR_STACKSHIM_RECORD_CORRUPT', 'ERR_STACKSHIM_FORMAT_NEWER'];

/** Whether the owner has yet to store the task's end. False for a report that cannot be read. */
export const isReportOpen = (layout: Layout, id: TaskId): boolean =>
  unlessFailed(() => readReport(layout, id), UNREADABLE)?.state === 'open';

/** Like {@link readReport}, for a report of any root folder. */
export function readReportAt(dir: string): TaskReport | undefined {
  const places = reportPlaces(dir);
  const task = readPart(places.taskFile, reportedTask);
  if (task === undefined) return undefined;
  const early = readEnd(places);
  // The owner will still store the end.
  const isOpen = early === undefined && existsSync(places.draftFile) && isOwnerAlive(task.owner);
  if (isOpen) return { task, end: null, state: 'open' };
  // The owner may have stored the end between the two looks.
  const end = early ?? readEnd(places) ?? null;
  return { task, end, state: (end?.result ?? null) === null ? 'lost' : 'ended' };
}

/** Throws ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. Exported for its test. */
export const readEnd = ({ endFile }: Pick<ReportPlaces, 'endFile'>): ReportedEnd | undefined =>
  readPart(endFile, reportedEnd);

/** The content of a report's file, without the fields of its format. */
function readPart<T extends Versioned>(
  file: string,
  reader: Reader<T>,
): Omit<T, keyof Versioned> | undefined {
  const stored = readStoredJson(file, { ...corrupt, reader });
  if (stored === undefined) return undefined;
  const { version: _, writtenBy: __, ...part } = stored;
  return part;
}
