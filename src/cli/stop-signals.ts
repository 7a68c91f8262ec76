/** Signals that ask `run` to end its task: the first one politely, the second one at once. */

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignals {
  /** For `runTask`. */
  readonly signals: { readonly signal: AbortSignal; readonly killSignal: AbortSignal };
  /** The first signal that came. */
  received(): NodeJS.Signals | undefined;
  /** Gives the signals back their usual meaning. */
  close(): void;
}

export function listenForStops(): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  let first: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (first !== undefined) kill.abort();
    first ??= signal;
    stop.abort();
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return {
    signals: { signal: stop.signal, killSignal: kill.signal },
    received: () => first,
    close: () => {
      for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    },
  };
}
