/** Handles this process's signals: those that ask it to end, and those that it forwards to the task's program. */

import { constants } from 'node:os';
import { signalDisposition } from '../../sys/ask-process.ts';
import { signalProcess, unignoredSignals } from '../../sys/processes.ts';
import type { TaskEvent } from '../../task/events.ts';

/** Signals that would otherwise end this process half-way. KILL cannot be caught; a failed write reports SIGPIPE. */
const STOP_SIGNALS = [
  ...(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const),
  ...(['SIGALRM', 'SIGVTALRM', 'SIGABRT', 'SIGXCPU', 'SIGIO'] as const),
];

interface StopSignalsOptions {
  /** Abort with the signal's name as the reason: a task then gets the same signal. */
  readonly byName?: boolean;
  /** Called with the first signal. */
  readonly onStop?: (signal: NodeJS.Signals) => void;
}

/**
 * Listens for signals. A signal that was ignored when this process started, as with nohup(1) and a shell's background jobs, stays ignored.
 * Returns a function that restores the default actions of the signals.
 */
function onSignals<S extends NodeJS.Signals>(
  signals: readonly S[],
  listener: (signal: NodeJS.Signals) => void,
): () => void {
  const watched = unignoredSignals(signals);
  for (const signal of watched) process.on(signal, listener);
  return () => {
    for (const signal of watched) process.off(signal, listener);
  };
}

export function listenForStops({ byName = false, onStop }: StopSignalsOptions = {}) {
  const stop = new AbortController();
  const kill = new AbortController();
  let first: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const isFirst = first === undefined;
    first ??= signal;
    if (!isFirst) return kill.abort();
    onStop?.(signal);
    // TERM stops services: the task then gets its own stop signal.
    stop.abort(byName && signal !== 'SIGTERM' ? signal : undefined);
  };
  return {
    close: onSignals(STOP_SIGNALS, onSignal),
    /** Options for `runTask`. */
    signals: { signal: stop.signal, killSignal: kill.signal },
    /** The first signal that arrived. */
    received: () => first,
    /** Call it when the reader of this process's output has gone: stops at once, as SIGPIPE would. */
    onReaderGone() {
      first ??= 'SIGPIPE';
      kill.abort();
    },
  };
}

/** Runs work that the signals abort. Restores their default actions afterwards. */
export async function whileStoppable<T>(
  work: (signal: AbortSignal, stops: ReturnType<typeof listenForStops>) => Promise<T>,
): Promise<T> {
  const stops = listenForStops();
  try {
    return await work(stops.signals.signal, stops);
  } finally {
    stops.close();
  }
}

const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const;

/** Forwards signals. Drops one without a handler in the task's first process, as the kernel does inside, or if the process does not answer. */
export function forwardSignals() {
  let pid: number | undefined;
  const forward = async (to: number, signal: number) => {
    const seen = await signalDisposition(to, signal);
    // The task may have ended meanwhile.
    if (pid === to && (seen === 'handled' || seen === 'blocked')) signalProcess(to, signal);
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (pid !== undefined) void forward(pid, constants.signals[name]);
  };
  return {
    close: onSignals(FORWARDED, onSignal),
    /** Call it with every event of the task: signals go to the task's first process while that runs. */
    onEvent(event: TaskEvent) {
      if (event.type === 'created') pid = event.pid;
      if (event.type === 'exited' || event.type === 'removed') pid = undefined;
    },
    /** Sets the process that gets the signals; undefined: none does. */
    follow(next: number | undefined) {
      pid = next;
    },
  };
}

/** The signals that end a worker. SIGHUP, which a closed terminal sends, means nothing to a service. */
const DRAINING = ['SIGTERM', 'SIGINT'] as const;

export interface DrainSignals {
  /** Resolves with the next signal, which may have arrived already. */
  next(): Promise<void>;
}

/** Listens until the process ends. */
export function listenForDrain(): DrainSignals {
  let unseen = 0;
  let notify: () => void = () => undefined;
  onSignals(DRAINING, () => {
    unseen += 1;
    notify();
  });
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
