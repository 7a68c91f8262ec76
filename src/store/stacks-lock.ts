/** The lock `locks/stacks`, which every change of revisions or generations holds for milliseconds. */
import type { Layout } from '../core/layout.ts';
import type { System } from '../sys/system.ts';
import { withLock } from './with-lock.ts';

const DEFAULT_WAIT_MS = 15_000;

/**
 * Runs `change` while holding the lock. Waits by trying again, so that the event loop goes on. Throws ERR_STACKSHIM_STACK_BUSY if another
 * process holds it for all of `waitMs`.
 */
export const withStacksLock = <T>(
  layout: Layout,
  change: () => Promise<T>,
  {
    system,
    waitMs = DEFAULT_WAIT_MS,
  }: { readonly system: System; readonly waitMs?: number | undefined },
): Promise<T> => withLock(layout, 'stacks', { system, waitMs, work: change });
