/** Reads task records, for code that lists, ends and reaps tasks. */
import { readFileSync, statSync } from 'node:fs';
import { isTaskCgroup } from '../../cgroup/cgroup-names.ts';
import { errnoCodeOf, isUsedUp, StackshimError } from '../../core/errors.ts';
import { refuseNewer, versionOf } from '../../core/format-version.ts';
import {
  type BuildKey,
  isBuildKey,
  isTaskId,
  isTenantName,
  type TaskId,
  type TenantName,
} from '../../core/ids.ts';
import { type Layout, tasksDir, VOLUME_PREFIX } from '../../core/layout.ts';
import {
  date,
  FieldFault,
  type FieldReaders,
  flag,
  integer,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  orNull,
  type Reader,
  readWith,
  text,
  textThat,
} from '../../core/read-fields.ts';
import { RUNTIME_KINDS } from '../../runtime/drivers/driver-of.ts';
import { imageDigest, stackName } from '../../store/stored-json.ts';
import { isThere, namesIn } from '../../sys/files.ts';
import type { Owner, ProcessIdentity } from '../../sys/processes.ts';
import { RECORD_VERSION, type TaskExit, type TaskHoldings, type TaskRecord } from './record.ts';
import { namesOf, type TaskNames, taskPlaces } from './task-places.ts';

/** A larger file is not a record. */
const MAX_RECORD_BYTES = 1024 * 1024;

const MAX_BINDS = 1024;
const MAX_SIGNAL = 64;

const processIdentity = { pid: integer(1), startTime: integer(0) };

export const owner = objectOf<Owner>({
  ...processIdentity,
  bootId: text,
  thread: optional(objectOf<ProcessIdentity>(processIdentity)),
});

export const taskExit = objectOf<TaskExit>({
  exitCode: orNull(integer(0)),
  signal: orNull(textThat((value) => /^SIG[A-Z0-9]{1,8}$/.test(value), 'not a signal')),
  at: date,
});

type RecordOfVersion1 = Omit<
  TaskRecord,
  'names' | 'exit' | 'origin' | 'hasCode' | 'codeImage' | 'build' | keyof TaskHoldings
>;

const fieldsOfVersion1: FieldReaders<RecordOfVersion1> = {
  id: textThat<TaskId>(isTaskId, 'not a task id'),
  owner,
  stack: stackName,
  revision: integer(0),
  image: imageDigest,
  tenant: optional(textThat<TenantName>(isTenantName, 'not a tenant name')),
  runtime: objectOf({
    kind: oneOf(...RUNTIME_KINDS),
    path: textThat((value) => value.startsWith('/'), 'not an absolute path'),
    version: text,
  }),
  bindCount: integer(0, MAX_BINDS),
  command: listOf(text),
  labels: mapOf(text),
  stopSignal: optional(integer(1, MAX_SIGNAL)),
  createdAt: date,
  kept: flag,
  disowned: flag,
};

const onlyTrue: Reader<true> = (value, field) => {
  if (value === true) return true;
  throw new FieldFault(field, 'not true');
};

const absolute = textThat(
  (value) => /^\/(?!(?:.*\/)?\.{1,2}(?:\/|$))[^\0]+$/.test(value),
  'not an absolute path',
);

const recordOfVersion1 = objectOf<RecordOfVersion1 & { readonly version: 1 }>({
  version: oneOf(1),
  ...fieldsOfVersion1,
});

/** Versions 2 and 3 only lack newer fields, all of which are optional. */
const currentRecord = objectOf<
  TaskRecord & { readonly version: 2 | 3 | typeof RECORD_VERSION; readonly writtenBy: string }
>({
  version: oneOf(2, 3, RECORD_VERSION),
  writtenBy: text,
  ...fieldsOfVersion1,
  origin: optional(oneOf('caller', 'job')),
  hasCode: optional(onlyTrue),
  codeImage: optional(imageDigest),
  build: optional(textThat<BuildKey>(isBuildKey, 'not the key of a build')),
  names: objectOf<TaskNames>({
    cgroup: textThat(isTaskCgroup, "not a task's cgroup"),
    scratchDir: absolute,
    volumeFile: absolute,
    idleVolumeDir: absolute,
    stateRoot: absolute,
  }),
  slot: optional(integer(0)),
  diskMechanism: optional(oneOf('quota', 'volume', 'sampling')),
  loopDevice: optional(textThat((value) => /^loop\d+$/.test(value), 'not a loop device')),
  diskDescriptor: optional(integer(0)),
  diskProject: optional(integer(0)),
  exit: optional(taskExit),
});

/**
 * Parses a record of this version or an older one. A record of version 1 has no names, so they
 * are computed as its writer did. Refuses names of another task, because removal follows them.
 */
function toRecord(layout: Layout, value: unknown): TaskRecord {
  const refuse = (fault: Error) => fault;
  if (versionOf(value) === 1) {
    const { version: _, ...record } = readWith(recordOfVersion1, value, refuse);
    return { ...record, names: namesOf(taskPlaces(layout, record.id, record.tenant)) };
  }
  const { version: _, writtenBy: __, ...record } = readWith(currentRecord, value, refuse);
  const { id, names } = record;
  const isOwn =
    names.cgroup.endsWith(`/task-${id}`) &&
    names.scratchDir.endsWith(`/scratch/${id}`) &&
    names.volumeFile.endsWith(`/scratch/${VOLUME_PREFIX}${id}`) &&
    names.idleVolumeDir.endsWith(`/volumes/${id}`);
  if (!isOwn) throw new TypeError('it names files of another task');
  return record;
}

/** Ids of all tasks that have a folder, in alphabetical order. */
export function listTaskIds(layout: Layout): readonly TaskId[] {
  return taskFolderNames(layout).filter(isTaskId).sort();
}

/** Every name in the tasks folder: task ids, and folders that are being created or removed. */
export const taskFolderNames = (layout: Layout): readonly string[] => namesIn(tasksDir(layout));

/**
 * Reads a task's record; undefined if there is no such task. Throws ERR_STACKSHIM_RECORD_CORRUPT
 * if its folder has no readable record, ERR_STACKSHIM_FORMAT_NEWER if a newer stackshim wrote it.
 */
export function readRecord(layout: Layout, id: TaskId): TaskRecord | undefined {
  const { recordFile, taskDir } = taskPlaces(layout, id);
  try {
    if (statSync(recordFile).size > MAX_RECORD_BYTES) throw new RangeError('too large');
    const value: unknown = JSON.parse(readFileSync(recordFile, 'utf8'));
    refuseNewer(recordFile, value, { what: 'task record', newest: RECORD_VERSION });
    const record = toRecord(layout, value);
    if (record.id !== id) throw new TypeError(`it names task ${record.id}`);
    return record;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT' && !isThere(taskDir)) return undefined;
    if (isUsedUp(error) || error instanceof StackshimError) throw error;
    throw new StackshimError('ERR_STACKSHIM_RECORD_CORRUPT', `read ${recordFile}: not a record`, {
      cause: error,
      details: { path: recordFile },
      hint: `run stackshim kill ${id} to end and remove the task, whatever its record says`,
    });
  }
}

/** Error codes of an unreadable record: it is damaged, or a newer stackshim wrote it. */
export const UNREADABLE: readonly string[] = [
  'ERR_STACKSHIM_RECORD_CORRUPT',
  'ERR_STACKSHIM_FORMAT_NEWER',
];

export const isUnreadable = (error: unknown): boolean =>
  error instanceof StackshimError && UNREADABLE.includes(error.code);

/** Calls `see` with the record of each existing task. Returns the errors of records that could not be read, or that `see` refused. */
export function eachRecord(
  layout: Layout,
  ids: readonly TaskId[],
  see: (record: TaskRecord) => void,
): readonly StackshimError[] {
  const errors: StackshimError[] = [];
  for (const id of ids) {
    try {
      const record = readRecord(layout, id);
      if (record !== undefined) see(record);
    } catch (error) {
      if (!(error instanceof StackshimError)) throw error;
      errors.push(error);
    }
  }
  return errors;
}
