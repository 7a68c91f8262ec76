/** The signals by which a worker is ended: SIGTERM and SIGINT. SIGHUP, which a closed terminal sends, means nothing to a service. */
import { unignoredSignals } from '../sys/processes.ts';

export interface DrainSignals {
  /** Resolves with the first signal. */
  readonly first: Promise<void>;
  /** Resolves with the second one. */
  readonly second: Promise<void>;
}

const ENDING = ['SIGTERM', 'SIGINT'] as const;

/** Listens until the process ends. A signal that was ignored when this process started stays ignored. */
export function listenForDrain(): DrainSignals {
  const waiting: (() => void)[] = [];
  const next = () => new Promise<void>((resolve) => waiting.push(resolve));
  const [first, second] = [next(), next()];
  const onSignal = () => waiting.shift()?.();
  for (const signal of unignoredSignals(ENDING)) process.on(signal, onSignal);
  process.on('SIGHUP', () => undefined);
  return { first, second };
}
