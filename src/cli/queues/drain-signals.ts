/** The signals by which a worker is ended: SIGTERM and SIGINT. SIGHUP, which a closed terminal sends, means nothing to a service. */
import { unignoredSignals } from '../../sys/processes.ts';

export interface DrainSignals {
  /** Resolves with the next signal, which may have come already. */
  next(): Promise<void>;
}

const ENDING = ['SIGTERM', 'SIGINT'] as const;

/** Listens until the process ends. A signal that was ignored when this process started stays ignored. */
export function listenForDrain(): DrainSignals {
  let unseen = 0;
  let notify: () => void = () => undefined;
  const onSignal = () => {
    unseen += 1;
    notify();
  };
  for (const signal of unignoredSignals(ENDING)) process.on(signal, onSignal);
  process.on('SIGHUP', () => undefined);
  return {
    async next() {
      while (unseen === 0) {
        await new Promise<void>((resolve) => {
          notify = resolve;
        });
      }
      unseen -= 1;
    },
  };
}
