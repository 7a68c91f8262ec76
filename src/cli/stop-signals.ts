/** Signals that ask this process to end what it does: the first one politely, the second one at once. */
import { unignoredSignals } from '../sys/processes.ts';

/** Signals that would otherwise end this process and leave its work half-done. KILL cannot be caught; a failed write reports SIGPIPE. */
const STOP_SIGNALS = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGABRT',
  'SIGXCPU',
  'SIGIO',
] as const;

export interface StopSignals {
  /** Options for `runTask`. */
  readonly signals: { readonly signal: AbortSignal; readonly killSignal: AbortSignal };
  /** The first signal that arrived. */
  received(): NodeJS.Signals | undefined;
  /** Call it when the reader of this process's output has gone: stops at once, as SIGPIPE would. */
  onReaderGone(): void;
  /** Restores the usual meaning of the signals. */
  close(): void;
}

export interface StopSignalsOptions {
  /** Abort with the signal's name as the reason: a task then gets the same signal. */
  readonly byName?: boolean;
  /** Called with the first signal. */
  readonly onStop?: (signal: NodeJS.Signals) => void;
}

/** Listens for the signals. A signal that was ignored when this process started, as with nohup(1) and a shell's background jobs, stays ignored. */
export function listenForStops({ byName = false, onStop }: StopSignalsOptions = {}): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  let first: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const isFirst = first === undefined;
    first ??= signal;
    if (!isFirst) return kill.abort();
    onStop?.(signal);
    // TERM is how services are stopped: for the task, that begins with its own stop signal.
    stop.abort(byName && signal !== 'SIGTERM' ? signal : undefined);
  };
  const watched = unignoredSignals(STOP_SIGNALS);
  for (const signal of watched) process.on(signal, onSignal);
  return {
    signals: { signal: stop.signal, killSignal: kill.signal },
    received: () => first,
    onReaderGone() {
      first ??= 'SIGPIPE';
      kill.abort();
    },
    close: () => {
      for (const signal of watched) process.off(signal, onSignal);
    },
  };
}
