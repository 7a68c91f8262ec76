/** Turns a failure before a task's command ran into one error. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ErrorCode } from '../core/error-codes.ts';
import {
  errnoCodeOf,
  hasCode,
  messageOf,
  StackshimError,
  toStackshimError,
} from '../core/errors.ts';
import { freeBytesAt, nearestExisting } from '../sys/files.ts';
import { SystemError } from '../sys/system.ts';
import type { TaskPlaces } from './records/task-places.ts';

/** A disk with this much free space was not full. */
const ROOM_BYTES = 64 * 1024 * 1024;
/** With less free space, a runtime cannot store its state, and may be unable to log that. */
const RUNTIME_BYTES = 64 * 1024;

export function toSetupError(thrown: unknown, places: TaskPlaces): StackshimError {
  const code = errnoCodeOf(thrown);
  const wrap = (as: ErrorCode, words: string, hint?: string) =>
    new StackshimError(as, `set up task: ${words}`, { cause: thrown, hint });
  if (code === 'EEXIST') {
    const hint = 'run stackshim reap to remove what the last boot left, or choose another id';
    const words = 'files of an earlier task with this id exist';
    return wrap('ERR_STACKSHIM_TASK_CONFLICT', words, hint);
  }
  const reason = messageOf(thrown);
  const hint = usedUpHint(thrown);
  if (hint !== undefined) return wrap('ERR_STACKSHIM_PROCESS_EXHAUSTED', reason, hint);
  if (hasCode(thrown, 'ERR_STACKSHIM_RUNTIME_FAILED')) {
    if (hasReachedProcessLimit()) {
      const words = `no more processes (pids.max): ${reason}`;
      return wrap('ERR_STACKSHIM_PROCESS_EXHAUSTED', words);
    }
    if (!hasRoom(places.taskDir, RUNTIME_BYTES)) {
      return wrap('ERR_STACKSHIM_DISK_FULL', `the run folder is full: ${reason}`);
    }
  }
  if (isFull(thrown) && isBelow(thrown, places.scratchDir) && hasDiskRoom(places)) {
    return wrap('ERR_STACKSHIM_DISK_LIMIT', reason);
  }
  // A volume whose file finds no room on the host's disk reports an I/O error.
  if (isFull(thrown) || (code === 'EIO' && !hasDiskRoom(places))) {
    return toStackshimError(thrown, 'ERR_STACKSHIM_DISK_FULL', 'set up task');
  }
  return toStackshimError(thrown, 'ERR_STACKSHIM_INTERNAL', 'set up task');
}

/** The hint for a used-up resource other than disk space, for which the kernel may also report ENOSPC; undefined for other errors. */
function usedUpHint(thrown: unknown): string | undefined {
  const code = errnoCodeOf(thrown);
  if (code === 'EMFILE') return 'raise the limit of open files of this process (ulimit -n)';
  if (code === 'ENFILE') return 'raise fs.file-max (sysctl)';
  if (code !== 'ENOSPC' || !(thrown instanceof SystemError)) return undefined;
  const { syscall } = thrown;
  if (syscall === 'move_mount' || syscall === 'mount --bind') return 'raise fs.mount-max (sysctl)';
  return syscall === 'epoll_ctl' ? 'raise fs.epoll.max_user_watches (sysctl)' : undefined;
}

function isFull(thrown: unknown): boolean {
  const code = thrown instanceof StackshimError ? thrown.code : errnoCodeOf(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_STACKSHIM_DISK_FULL';
}

/** Whether the error concerns a file in the folder. */
function isBelow(thrown: unknown, folder: string): boolean {
  if (!(thrown instanceof Error)) return false;
  const { path, dest } = thrown as NodeJS.ErrnoException & { readonly dest?: string };
  const where = thrown instanceof StackshimError ? thrown.details['folder'] : undefined;
  return [path, dest, where].some(
    (one) => typeof one === 'string' && `${one}/`.startsWith(`${folder}/`),
  );
}

/** Whether the disk that all tasks share has free space. */
const hasDiskRoom = ({ scratchDir }: TaskPlaces) => hasRoom(dirname(scratchDir), ROOM_BYTES);

function hasRoom(folder: string, bytes: number): boolean {
  try {
    return freeBytesAt(nearestExisting(folder)) >= bytes;
  } catch {
    // A disk that cannot report its free space has no room for a task.
    return false;
  }
}

/** Whether the kernel refused a new process in this process's cgroup: a runtime that cannot start a thread does not report why it ends. */
function hasReachedProcessLimit(): boolean {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trimEnd().split('\n');
  return lines.some((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== '' && !controllers.split(',').includes('pids')) return false;
    try {
      const events = readFileSync(`/sys/fs/cgroup/${controllers}${path}/pids.events`, 'utf8');
      // `max N`: the number of refusals.
      return /^max [1-9]/m.test(events);
    } catch {
      // The root cgroup, and cgroups without the controller, have no such file.
      return false;
    }
  });
}
