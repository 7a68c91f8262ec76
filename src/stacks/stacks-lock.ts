/** The lock `locks/stacks`, which a change of revisions or generations holds for milliseconds. */

import { StackshimError } from '../core/errors.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { pause } from '../core/pause.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import { ensureDirectory } from '../sys/write-file.ts';

const DEFAULT_WAIT_MS = 15_000;
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * Runs `change` while holding the lock. Waits by trying again, so the event loop goes on.
 * Throws ERR_STACKSHIM_STACK_BUSY when another holds it for all of `waitMs`.
 */
export async function withStacksLock<T>(
  layout: Layout,
  change: () => Promise<T>,
  options: { readonly system: System; readonly waitMs?: number },
): Promise<T> {
  const lock = await takeStacksLock(layout, options.system, options.waitMs ?? DEFAULT_WAIT_MS);
  try {
    return await change();
  } finally {
    lock.release();
  }
}

async function takeStacksLock(layout: Layout, system: System, waitMs: number): Promise<FileLock> {
  const path = `${locksDir(layout)}/stacks`;
  await guardDisk(`make ${locksDir(layout)}`, () => ensureDirectory(locksDir(layout), 0o700));
  const endsAt = performance.now() + waitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const lock = takeFileLock(system, path, { wait: false });
    if (lock !== undefined) return lock;
    if (performance.now() >= endsAt) {
      throw new StackshimError(
        'ERR_STACKSHIM_STACK_BUSY',
        `lock ${path}: held by another process`,
        {
          details: { path, waitMs },
        },
      );
    }
    await pause(pauseMs);
  }
}
