/** Takes the locks below `locks/` by polling, so that the event loop keeps running. */
import { setTimeout as delay } from 'node:timers/promises';
import { StackshimError } from '../core/errors.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { takeFileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import { ensureDirectory } from '../sys/write-file.ts';

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
const STACKS_WAIT_MS = 15_000;

interface LockWait {
  /** 0 refuses at once a lock that another process holds. */
  readonly waitMs: number;
  /** Makes the error for a lock that does not become free in time. */
  readonly toBusy: () => StackshimError;
  readonly signal?: AbortSignal | undefined;
}

interface LockOptions extends Pick<LockWait, 'waitMs' | 'signal'> {
  readonly system: System;
  /** Default: ERR_STACKSHIM_STACK_BUSY. */
  readonly toBusy?: LockWait['toBusy'];
  readonly shared?: boolean;
}

/** Runs `work` under `locks/<name>`. Throws ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM, errors of `work`. */
export async function withLock<T>(
  layout: Layout,
  name: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { system, shared = false, waitMs } = options;
  const path = `${locksDir(layout)}/${name}`;
  const toBusy = () =>
    new StackshimError('ERR_STACKSHIM_STACK_BUSY', `lock ${path}: held by another process`, {
      details: { path, waitMs },
    });
  const take = () => takeFileLock(system, path, { wait: false, shared });
  const lock = await waitForLock(layout, take, { toBusy, ...options });
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Runs `change` while holding `locks/stacks`, which every change of revisions or generations holds for milliseconds. Throws
 * ERR_STACKSHIM_STACK_BUSY if another process holds the lock for `waitMs`.
 */
export const withStacksLock = <T>(
  layout: Layout,
  system: System,
  change: () => Promise<T>,
  waitMs = STACKS_WAIT_MS,
): Promise<T> => withLock(layout, 'stacks', { system, waitMs }, change);

/** Polls `take` until it returns a value, and returns the value. Throws `toBusy()` or the reason of an aborted `signal`. */
export async function waitForLock<T>(
  layout: Layout,
  take: () => T | undefined,
  { waitMs, toBusy, signal }: LockWait,
): Promise<T> {
  const folder = locksDir(layout);
  await guardDisk(`make ${folder}`, () => ensureDirectory(folder, 0o700));
  const endsAt = performance.now() + waitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const taken = await guardDisk(`lock a file below ${folder}`, async () => take());
    if (taken !== undefined) return taken;
    if (performance.now() >= endsAt) throw toBusy();
    await delay(pauseMs, undefined, { signal });
  }
}
