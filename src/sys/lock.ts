/** File locks that the kernel releases when the holder dies: flock(2). */
import { closeSync, constants, openSync } from 'node:fs';
import type { Fd, LockOptions, System } from './system.ts';

const { O_CREAT, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** A held lock. Releasing it keeps the file. */
export interface FileLock {
  readonly fd: Fd;
  /** Does nothing on a second call: the descriptor may belong to another file by then. */
  release(): void;
}

/** Locks `path`; creates the file if missing. Undefined if another process holds the lock and `wait` is false; waiting blocks the thread. */
export const takeFileLock = (
  system: System,
  path: string,
  options: LockOptions,
): FileLock | undefined =>
  lockOpen(system, openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600), options);

/** Like {@link takeFileLock}, but throws ENOENT if the file is missing. */
export const lockExistingFile = (
  system: System,
  path: string,
  options: LockOptions,
): FileLock | undefined => lockOpen(system, openSync(path, O_RDONLY | O_NOFOLLOW), options);

function lockOpen(system: System, fd: Fd, options: LockOptions): FileLock | undefined {
  let isHeld = false;
  try {
    isHeld = system.lockFile(fd, options);
  } finally {
    if (!isHeld) closeSync(fd);
  }
  if (!isHeld) return undefined;
  const release = () => {
    if (isHeld) closeSync(fd);
    isHeld = false;
  };
  return { fd, release };
}
