/** The folder of a further command, below the task's folder: `exec.json`, and the runtime's files while the command starts. */

import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { errnoCodeOf, unlessFailed, unlessMissing } from '../../core/errors.ts';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import type { TaskId } from '../../core/ids.ts';
import { rootfsTarget } from '../../rootfs/plan-rootfs.ts';
import type { ExecFiles } from '../../runtime/runtime.ts';
import { namesIn, randomName } from '../../sys/files.ts';
import { entryOf } from '../../sys/paths.ts';
import type { Fd } from '../../sys/system.ts';
import { warn } from '../events.ts';
import { ENDED, toTaskConflict } from '../records/task-errors.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { toDiskError } from '../reports/store-end.ts';
import { EXECUTE } from './find-exec-target.ts';
import { EXEC_FILE, EXEC_VERSION, type ExecCaller, MAX_EXECS, type TaskExec } from './told-exec.ts';

/** Short, because the kernel limits the path of a socket. */
const NAME_CHARS = 8;

export class ExecFolder {
  readonly files: ExecFiles;
  readonly logFile: string;
  readonly #id: TaskId;
  readonly #path: string;
  /** A descriptor, so that nothing is written into another task that has got the same id. */
  readonly #folder: Fd;
  #told: TaskExec | undefined;

  /** Creates the folder. Throws ERR_STACKSHIM_TASK_CONFLICT if the task has ended, or if `MAX_EXECS` commands were executed in it. */
  constructor(places: TaskPlaces, { tty }: { readonly tty: boolean }) {
    this.#id = places.id;
    this.#path = makeFolder(places);
    this.#folder = openSync(this.#path, 'r');
    this.logFile = `${this.#path}/log.json`;
    this.files = {
      processFile: `${this.#path}/process.json`,
      pidFile: `${this.#path}/pid`,
      innerPidFile: `${this.#path}/inner-pid`,
      consoleSocket: tty ? `${this.#path}/tty` : undefined,
    };
  }

  /** Writes `exec.json` before the start. Throws ERR_STACKSHIM_TASK_CONFLICT for a removed task, _DISK_FULL, _SYSTEM; then nothing is written. */
  begin(told: TaskExec): void {
    this.#told = told;
    try {
      this.#write();
    } catch (error) {
      this.#told = undefined;
      if (errnoCodeOf(error) === 'ENOENT') {
        throw toTaskConflict(EXECUTE, this.#id, { ...ENDED, cause: error });
      }
      throw toDiskError(error, `tell of a command in ${this.#path}`);
    }
  }

  /**
   * Adds to `exec.json`. Does nothing if `begin` failed or the task has been removed, whose result does not wait for this. Other errors become
   * process warnings, because the command's end does not depend on them.
   */
  tell(change: Pick<TaskExec, 'exit'> | Pick<TaskExec, 'error'>): void {
    if (this.#told === undefined) return;
    this.#told = { ...this.#told, ...change };
    try {
      unlessMissing(() => this.#write());
    } catch (error) {
      warn(toDiskError(error, `tell of a command in ${this.#path}`));
    }
  }

  #write(): void {
    const json = JSON.stringify({
      version: EXEC_VERSION,
      writtenBy: PROGRAM_VERSION,
      ...this.#told,
    });
    const next = entryOf(this.#folder, `${EXEC_FILE}.next`);
    writeFileSync(next, json, { mode: 0o600 });
    renameSync(next, entryOf(this.#folder, EXEC_FILE));
  }

  /** Removes everything but `exec.json`. Do not call it twice. */
  close(): void {
    const next = `${EXEC_FILE}.next`;
    for (const name of ['process.json', 'pid', 'inner-pid', 'log.json', 'tty', next]) {
      rmSync(entryOf(this.#folder, name), { force: true });
    }
    closeSync(this.#folder);
    // A refused command has no `exec.json`. If the runtime is still writing here, the folder goes with the task.
    if (this.#told === undefined)
      unlessFailed(() => rmdirSync(this.#path), ['ENOENT', 'ENOTEMPTY']);
  }
}

/** Creates a folder whose name no other task has: a runtime with this path fails in another task that has got the same id. */
function makeFolder({ id, taskDir, execsDir }: TaskPlaces): string {
  const path = `${execsDir}/${randomName().slice(0, NAME_CHARS)}`;
  try {
    // A runtime may start in the mount point of the root filesystem, which is gone while the task runs.
    for (const folder of [execsDir, rootfsTarget({ taskDir })]) {
      unlessFailed(() => mkdirSync(folder, { mode: 0o700 }), ['EEXIST']);
    }
    if (namesIn(execsDir).length >= MAX_EXECS) {
      const why = `${MAX_EXECS} commands were executed in it, which is the maximum`;
      const hint = 'run a command that does several things';
      throw toTaskConflict(EXECUTE, id, { state: 'running', why, hint });
    }
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
    throw toTaskConflict(EXECUTE, id, { ...ENDED, cause: error });
  }
}

const NOBODY = 4_294_967_295;

/** Describes this process, for `exec.json`. */
export function thisCaller(): ExecCaller {
  const login = unlessMissing(() => readFileSync('/proc/self/loginuid', 'latin1')) ?? '';
  return {
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    loginUid: toUid(login.trim()),
    sudoUid: toUid(process.env['SUDO_UID'] ?? ''),
  };
}

function toUid(text: string): number | null {
  const uid = /^\d{1,10}$/.test(text) ? Number(text) : NOBODY;
  return uid < NOBODY ? uid : null;
}

const MAX_COMMAND_CHARS = 4_096;

/** The first 4,096 characters of a command. */
export function toToldCommand(command: readonly string[]): readonly string[] {
  const told: string[] = [];
  let room = MAX_COMMAND_CHARS;
  for (const word of command) {
    if (word.length > room) {
      told.push(`${word.slice(0, room)}…`);
      break;
    }
    told.push(word);
    // The separator counts, too, which bounds the number of empty words.
    room -= word.length + 1;
  }
  return told;
}
