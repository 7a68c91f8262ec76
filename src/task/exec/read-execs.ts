/** Reads which further commands were executed in a task. Loaded only for a task that had any. */
import { type ErrorCode, errorCodes } from '../../core/error-codes.ts';
import { nextTurn } from '../../core/pause.ts';
import {
  date,
  integer,
  listOf,
  objectOf,
  oneOf,
  orNull,
  readWith,
  text,
  textThat,
} from '../../core/read-fields.ts';
import { namesIn, readBoundedFile } from '../../sys/files.ts';
import { taskExit } from '../records/read-record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { EXEC_FILE, EXEC_VERSION, type ExecCaller, MAX_EXECS, type TaskExec } from './told-exec.ts';

/** Room for a command of 4,096 characters, each of up to six bytes, and little else. */
const MAX_BYTES = 65_536;

const told = objectOf<TaskExec & { readonly version: number; readonly writtenBy: string }>({
  version: oneOf(EXEC_VERSION),
  writtenBy: text,
  command: listOf(text),
  user: text,
  by: objectOf<ExecCaller>({
    pid: integer(1),
    uid: integer(0),
    loginUid: orNull(integer(0)),
    sudoUid: orNull(integer(0)),
  }),
  startedAt: date,
  exit: orNull(taskExit),
  error: orNull(
    textThat<ErrorCode>((code) => Object.hasOwn(errorCodes, code), 'not an error code'),
  ),
});

const READ_AT_ONCE = 50;

/** Oldest first. Never rejects; skips what cannot be read: a killed process may not have written it, and a task's result must not depend on it. */
export async function readExecs({
  execsDir,
}: Pick<TaskPlaces, 'execsDir'>): Promise<readonly TaskExec[]> {
  const execs: TaskExec[] = [];
  const names = unlessUnreadable(() => namesIn(execsDir)) ?? [];
  for (const [index, name] of names.slice(0, MAX_EXECS).entries()) {
    if (index % READ_AT_ONCE === READ_AT_ONCE - 1) await nextTurn();
    const exec = unlessUnreadable(() => readExec(`${execsDir}/${name}/${EXEC_FILE}`));
    if (exec !== undefined) execs.push(exec);
  }
  return execs.sort((one, other) => one.startedAt.localeCompare(other.startedAt));
}

function readExec(file: string): TaskExec {
  const json = JSON.parse(readBoundedFile(file, { maxBytes: MAX_BYTES }));
  const { version: _, writtenBy: __, ...exec } = readWith(told, json, (fault) => fault);
  return exec;
}

function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
