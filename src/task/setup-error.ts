/** What went wrong before a task's command ran, as one error. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
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

/** A disk with so much room did not keep a task from being set up. */
const ROOM_BYTES = 64 * 1024 * 1024;
/** With less a runtime can neither keep its state nor, perhaps, log that it cannot. */
const RUNTIME_BYTES = 64 * 1024;

export function toSetupError(thrown: unknown, places: TaskPlaces): StackshimError {
  const code = errnoCodeOf(thrown);
  if (code === 'EEXIST') {
    const left = 'set up task: files of an earlier task with this id exist';
    const hint = 'run stackshim reap to remove what the last boot left, or choose another id';
    return new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', left, { cause: thrown, hint });
  }
  const hint = usedUpHint(thrown);
  if (hint !== undefined) {
    const message = `set up task: ${messageOf(thrown)}`;
    return new StackshimError('ERR_STACKSHIM_PROCESS_EXHAUSTED', message, { cause: thrown, hint });
  }
  if (isOfRuntime(thrown) && hasReachedProcessLimit()) {
    const message = `set up task: no more processes (pids.max): ${messageOf(thrown)}`;
    return new StackshimError('ERR_STACKSHIM_PROCESS_EXHAUSTED', message, { cause: thrown });
  }
  if (isOfRuntime(thrown) && !hasRoom(places.taskDir, RUNTIME_BYTES)) {
    const message = `set up task: the run folder is full: ${messageOf(thrown)}`;
    return new StackshimError('ERR_STACKSHIM_DISK_FULL', message, { cause: thrown });
  }
  if (isFull(thrown) && isBelow(thrown, places.scratchDir) && hasDiskRoom(places)) {
    const message = `set up task: ${messageOf(thrown)}`;
    return new StackshimError('ERR_STACKSHIM_DISK_LIMIT', message, { cause: thrown });
  }
  // What a volume's file finds no room for is an I/O error of the volume.
  if (isFull(thrown) || (code === 'EIO' && !hasDiskRoom(places))) {
    return toStackshimError(thrown, 'ERR_STACKSHIM_DISK_FULL', 'set up task');
  }
  return toStackshimError(thrown, 'ERR_STACKSHIM_INTERNAL', 'set up task');
}

/** What to do where something is used up that is no disk, though the kernel may say ENOSPC as of one. */
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

const isOfRuntime = (thrown: unknown): boolean => hasCode(thrown, 'ERR_STACKSHIM_RUNTIME_FAILED');

/** Whether the error names something in the folder: what could not be written, or where. */
function isBelow(thrown: unknown, folder: string): boolean {
  if (!(thrown instanceof Error)) return false;
  const { path, dest } = thrown as NodeJS.ErrnoException & { readonly dest?: string };
  const where = thrown instanceof StackshimError ? thrown.details['folder'] : undefined;
  return [path, dest, where].some(
    (one) => typeof one === 'string' && `${one}/`.startsWith(`${folder}/`),
  );
}

/** On the disk that all tasks share. */
const hasDiskRoom = ({ scratchDir }: TaskPlaces) => hasRoom(dirname(scratchDir), ROOM_BYTES);

function hasRoom(folder: string, bytes: number): boolean {
  try {
    return freeBytesAt(nearestExisting(folder)) >= bytes;
  } catch {
    // A disk that cannot even tell is no place for a task.
    return false;
  }
}

/**
 * True when the kernel has refused a process to the cgroup that this one lies in. A runtime that can start no thread says nothing of
 * why it ends: this tells.
 */
function hasReachedProcessLimit(): boolean {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trimEnd().split('\n');
  return lines.some((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== '' && !controllers.split(',').includes('pids')) return false;
    return wasRefused(`/sys/fs/cgroup/${controllers}${path}/pids.events`);
  });
}

/** `max N`: how often. */
function wasRefused(eventsFile: string): boolean {
  try {
    return /^max [1-9]/m.test(readFileSync(eventsFile, 'utf8'));
  } catch {
    // The root cgroup has no such file, and neither has one without the controller.
    return false;
  }
}
