/** The lock `locks/stacks`, which a change of revisions or generations holds for milliseconds. */
import type { Layout } from '../core/layout.ts';
import { withLock } from '../layers/with-lock.ts';
import type { System } from '../sys/system.ts';

const DEFAULT_WAIT_MS = 15_000;

/** Runs `change` while holding the lock. Throws ERR_STACKSHIM_STACK_BUSY when another holds it for all of `waitMs`. */
export const withStacksLock = <T>(
  layout: Layout,
  change: () => Promise<T>,
  {
    system,
    waitMs = DEFAULT_WAIT_MS,
  }: { readonly system: System; readonly waitMs?: number | undefined },
): Promise<T> => withLock(layout, 'stacks', { system, waitMs, work: change });
