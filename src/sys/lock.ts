/** Locks that the kernel releases when their holder dies: flock(2) on a file. */
import { closeSync, constants, openSync } from 'node:fs';
import type { Fd, LockOptions, System } from './system.ts';

/** A held lock. Closing it releases it; the file stays. */
export interface FileLock {
  readonly fd: Fd;
  /** A second call does nothing: the descriptor may be another's by then. */
  release(): void;
}

/** Takes the lock on `path` (made when missing). Undefined when another holds it and `wait` is false; waiting blocks the thread. */
export function takeFileLock(
  system: System,
  path: string,
  options: LockOptions,
): FileLock | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (system.lockFile(fd, options)) return holdLock(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function holdLock(fd: Fd): FileLock {
  let isHeld = true;
  const release = () => {
    if (isHeld) closeSync(fd);
    isHeld = false;
  };
  return { fd, release };
}
