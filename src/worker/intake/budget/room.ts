/** The room of a taken job on this machine. */
import { StackshimError } from '../../../core/errors.ts';
import { openPromise } from '../../../core/pause.ts';
import { unlessAborted } from '../../../core/unless-aborted.ts';
import type { Needs, Room } from '../../taken-job.ts';
import type { Budget, Reservation } from './budget.ts';
import { fitsIn, lowerCpus, NO_NEEDS } from './needs.ts';

/**
 * Wraps a reservation. While `resize` waits, the job holds nothing, since its task does not run: jobs that wait for each other would deadlock.
 * Room is kept free for the job that has waited longest.
 *
 * `resize` rejects with the signal's reason, and with ERR_STACKSHIM_HOST_EXHAUSTED for needs that this machine cannot meet even with no other job
 * running. `details.isForNow` tells whether it could with an empty disk.
 */
export function toRoom(
  budget: Budget,
  reservation: Reservation,
  { monotonicMs }: { readonly monotonicMs: () => number },
): Room {
  return {
    get needs() {
      return reservation.needs;
    },
    async resize(asked, signal) {
      signal.throwIfAborted();
      const needs = lowerCpus(asked, budget.total());
      if (reservation.resize(needs)) return;
      requirePossible(needs, budget.total(), budget.possible());
      reservation.resize(NO_NEEDS);
      const sinceMs = monotonicMs();
      const claim = budget.claim({ needs, sinceMs });
      const found = openPromise();
      const look = () => {
        if (!reservation.resize(needs, sinceMs)) return budget.expectRoom();
        // Unwatch first: a resize to the same needs calls all listeners, so this one would call itself for ever.
        unwatch();
        found.resolve();
      };
      const unwatch = budget.watch(look);
      try {
        look();
        await unlessAborted(found.promise, [signal]);
      } finally {
        unwatch();
        claim.drop();
      }
    },
  };
}

function requirePossible(needs: Needs, total: Needs, possible: Needs): void {
  if (fitsIn(needs, total)) return;
  const [what, asked, most] =
    needs.memoryBytes > total.memoryBytes
      ? ['memory', needs.memoryBytes, total.memoryBytes]
      : ['disk', needs.diskBytes, total.diskBytes];
  const message = `start job: it may use ${asked} bytes of ${what}, but all jobs of this machine together may use ${most}`;
  const details = { resource: what, asked, most, isForNow: fitsIn(needs, possible) };
  throw new StackshimError('ERR_STACKSHIM_HOST_EXHAUSTED', message, { details });
}
