/** Waits until a cgroup that was told to freeze is frozen. */
import { pause } from '../core/pause.ts';
import type { FreezeOutcome } from './cgroup-driver.ts';

/** A process that waits for a disk freezes once the disk has answered. */
const FROZEN_WITHIN_MS = 5_000;
const POLL_MS = 2;
const LONGEST_PAUSE_MS = 50;

export interface Freezing {
  /**
   * Tells the cgroup to freeze; false if it does not exist. Called again while it is not frozen: on v1, processes that were forked
   * meanwhile must be told again.
   */
  readonly order: () => boolean;
  readonly isFrozen: () => boolean;
  readonly thaw: () => void;
}

/** Thaws the cgroup if it is not frozen in time. */
export async function freezeGroup({ order, isFrozen, thaw }: Freezing): Promise<FreezeOutcome> {
  const endsAt = performance.now() + FROZEN_WITHIN_MS;
  let isDone = false;
  try {
    for (let pauseMs = POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      if (!order()) return 'gone';
      isDone = isFrozen();
      if (isDone) return 'frozen';
      if (performance.now() > endsAt) return 'stuck';
      await pause(pauseMs);
    }
  } finally {
    if (!isDone) thaw();
  }
}
