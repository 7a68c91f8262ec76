/** Decides whether a worker is well, for the service manager's watchdog. A store that is known to be away is waited out: no restart helps. */
import type { WorkerStatus } from '../worker-events.ts';

type Pulse = Pick<WorkerStatus, 'running' | 'isStoreReachable' | 'lastRenewalAt'>;

/**
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
