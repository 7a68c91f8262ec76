/** Signals that have a meaning for programs but not for stackshim: they are forwarded to a running task, as by `docker run`. */
import { constants } from 'node:os';
import { signalDisposition } from '../sys/ask-process.ts';
import { signalProcess, unignoredSignals } from '../sys/processes.ts';
import type { TaskEvent } from '../task/events.ts';

const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const;

export interface SignalForwarder {
  /** Call it with every event of the task: signals go to the task's first process while that runs. */
  onEvent(event: TaskEvent): void;
  /** Restores the usual meaning of the signals. */
  close(): void;
}

/**
 * Forwards the signals. A signal without a handler in the task's first process is dropped, as the kernel drops those from inside; so is a
 * signal for a process that does not answer.
 */
export function forwardSignals(): SignalForwarder {
  let pid: number | undefined;
  const forward = async (to: number, signal: number) => {
    const seen = await signalDisposition(to, signal);
    // The task may have ended during this time.
    if (pid === to && (seen === 'handled' || seen === 'blocked')) signalProcess(to, signal);
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (pid !== undefined) void forward(pid, constants.signals[name]);
  };
  const watched = unignoredSignals(FORWARDED);
  for (const signal of watched) process.on(signal, onSignal);
  return {
    onEvent(event) {
      if (event.type === 'created') pid = event.pid;
      if (event.type === 'exited' || event.type === 'removed') pid = undefined;
    },
    close: () => {
      for (const signal of watched) process.off(signal, onSignal);
    },
  };
}
