/** Decides whether a worker is healthy, for the service manager's watchdog. An outage of the store counts as healthy: no restart helps. */
import type { WorkerStatus } from '../worker-events.ts';

type Pulse = Pick<WorkerStatus, 'running' | 'isStoreReachable' | 'lastRenewalAt'>;

/**
 * Returns the check of a worker's status.
 *
 * @param lockMs A worker with jobs renews their locks several times in this time.
 * @param now Milliseconds since 1970.
 */
export function watchPulse(lockMs: number, now: () => number): (status: Pulse) => boolean {
  let busySince: number | undefined;
  return ({ running, isStoreReachable, lastRenewalAt }) => {
    const at = now();
    if (running === 0 || !isStoreReachable) {
      busySince = undefined;
      return true;
    }
    busySince ??= at;
    const heardAt = Math.max(busySince, lastRenewalAt === null ? 0 : Date.parse(lastRenewalAt));
    return at - heardAt <= lockMs;
  };
}
