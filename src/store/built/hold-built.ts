/** Holds a cached build while a task uses it: a shared lock on the record, which the kernel releases when the holder dies. */
import { closeSync, constants, fstatSync, futimesSync, lstatSync, openSync } from 'node:fs';
import { isUsedUp, unlessFailed } from '../../core/errors.ts';
import type { BuildKey, TenantName } from '../../core/ids.ts';
import { builtFile, type Layout } from '../../core/layout.ts';
import { readBoundedFd } from '../../sys/files.ts';
import { type FileLock, takeFileLock } from '../../sys/lock.ts';
import type { Fd, System } from '../../sys/system.ts';
import { type BuiltRecord, MAX_BUILT_BYTES, parseBuiltRecord } from './built-record.ts';

/** A record that no collection removes before `release`. */
export interface HeldBuilt {
  readonly record: BuiltRecord;
  /** Marks the build as used now. Collection removes the least recently used builds first. */
  noteUse(): void;
  /** A second call does nothing. */
  release(): void;
}

/**
 * Reads and holds the record of a finished build step, in a few system calls. Undefined if the record is missing, damaged or being removed. A
 * record of another tenant counts as damaged, because the key contains the tenant.
 */
export function holdBuilt(
  { system, layout }: { readonly system: System; readonly layout: Layout },
  key: BuildKey,
  tenant: TenantName | undefined,
): HeldBuilt | undefined {
  const path = builtFile(layout, key, 'json');
  // A record is never a link: O_NOFOLLOW refuses one.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = unlessFailed(() => openSync(path, flags), ['ENOENT', 'ELOOP']);
  if (fd === undefined) return undefined;
  let isHeld = false;
  const release = () => {
    if (isHeld) closeSync(fd);
    isHeld = false;
  };
  try {
    if (system.lockFile(fd, { wait: false, shared: true }) && isAt(fd, path)) {
      const record = readRecord(fd);
      if (record?.key === key && record.tenant === (tenant ?? null)) {
        isHeld = true;
        const noteUse = () => futimesSync(fd, new Date(), new Date());
        return { record, release, noteUse };
      }
    }
    return undefined;
  } finally {
    if (!isHeld) closeSync(fd);
  }
}

/** Takes the lock for running a build step and storing its outcome. Undefined if another process holds the lock. */
export function lockBuild(
  { system, layout }: { readonly system: System; readonly layout: Layout },
  key: BuildKey,
): FileLock | undefined {
  const path = builtFile(layout, key, 'lock');
  const lock = takeFileLock(system, path, { wait: false });
  // A collection may have removed the file before the lock was taken.
  if (lock === undefined || isAt(lock.fd, path)) return lock;
  lock.release();
  return undefined;
}

/** Whether `path` still names the open file. */
function isAt(fd: Fd, path: string): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  const open = fstatSync(fd);
  return there?.ino === open.ino && there.dev === open.dev;
}

function readRecord(fd: Fd): BuiltRecord | undefined {
  try {
    return parseBuiltRecord(readBoundedFd(fd, MAX_BUILT_BYTES));
  } catch (error) {
    if (isUsedUp(error)) throw error;
    return undefined;
  }
}
