/** File locks that the kernel releases when their holder dies: flock(2). */
import { closeSync, constants, openSync } from 'node:fs';
import type { Fd, LockOptions, System } from './system.ts';

/** A held lock. Closing it releases it; the file stays. */
export interface FileLock {
  readonly fd: Fd;
  /** A second call does nothing, because the descriptor may belong to another file by then. */
  release(): void;
}

/**
 * Takes the lock on `path` and creates the file if it is missing. Undefined if another process holds the lock and `wait` is false; waiting
 * blocks the thread.
 */
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
