/** A taken job's room on this machine. */
import { StackshimError } from '../../../core/errors.ts';
import { unlessAborted } from '../../../core/unless-aborted.ts';
import type { Needs, Room } from '../../taken-job.ts';
import type { Budget, Reservation } from './budget.ts';
import { fitsIn, lowerCpus, NO_NEEDS } from './needs.ts';

/**
 * The room over a reservation. While `resize` waits, the job holds nothing, because no task of it runs: jobs that wait for each other would
 * wait for ever. Room is kept free for the job that waits longest.
 *
 * `resize` rejects with ERR_STACKSHIM_HOST_EXHAUSTED for needs that this machine cannot meet, even if all jobs of it had ended
 * (`details.isForNow`: but could, were its disk not so full), and with the signal's reason.
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
      let unwatch: () => void = () => undefined;
      const hasRoom = new Promise<void>((resolve) => {
        const look = () => {
          if (!reservation.resize(needs, sinceMs)) return budget.expectRoom();
          // Before the next look: resizing to the same needs tells all listeners, so this one would call itself for ever.
          unwatch();
          resolve();
        };
        unwatch = budget.watch(look);
        look();
      });
      try {
        await unlessAborted(hasRoom, [signal]);
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
