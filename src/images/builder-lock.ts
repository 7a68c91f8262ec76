/** The lock `locks/build`: one build at a time for each root folder, held by the builder's processes too. */
import { setTimeout as delay } from 'node:timers/promises';
import { StackshimError } from '../core/errors.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { ensureDirectory } from '../sys/files.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';

const DEFAULT_WAIT_MS = 600_000;
const PAUSE_MS = 100;

export interface BuilderLockOptions {
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Takes the build lock, waiting for another build to end. The descriptor is handed down to every program of the build
 * (`runBuilder`), so that the lock of a killed build is free only when the last of its processes is gone:
 * whoever holds it may treat all that lies under `build/` as garbage.
 */
export async function takeBuilderLock(
  layout: Layout,
  system: System,
  options: BuilderLockOptions,
): Promise<FileLock> {
  const path = `${locksDir(layout)}/build`;
  const waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
  await guardDisk(`make ${locksDir(layout)}`, () => ensureDirectory(locksDir(layout), 0o755));
  const endsAt = performance.now() + waitMs;
  for (;;) {
    const lock = takeFileLock(system, path, { wait: false });
    if (lock !== undefined) return lock;
    if (performance.now() >= endsAt) {
      throw new StackshimError(
        'ERR_STACKSHIM_STACK_BUSY',
        `lock ${path}: another build is running`,
        {
          details: { path, waitMs },
        },
      );
    }
    await delay(
      PAUSE_MS,
      undefined,
      options.signal === undefined ? {} : { signal: options.signal },
    );
  }
}
