/** Signals that mean something to a program and nothing to stackshim: a running task gets them, as `docker run` has it. */
import { constants } from 'node:os';
import { heededSignals, signalDisposition, signalProcess } from '../sys/processes.ts';
import type { TaskEvent } from '../task/events.ts';

const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const;

export interface SignalForwarder {
  /** To be told of every event of the task: signals go to its first process while that runs. */
  onEvent(event: TaskEvent): void;
  /** Gives the signals back their usual meaning. */
  close(): void;
}

/** A signal that the task's first process has no handler for is dropped, as the kernel does with those from inside. */
export function forwardSignals(): SignalForwarder {
  let pid: number | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    const signal = constants.signals[name];
    if (pid !== undefined && signalDisposition(pid, signal) !== 'dropped')
      signalProcess(pid, signal);
  };
  const heard = heededSignals(FORWARDED);
  for (const signal of heard) process.on(signal, onSignal);
  return {
    onEvent(event) {
      if (event.type === 'created') pid = event.pid;
      if (event.type === 'exited' || event.type === 'removed') pid = undefined;
    },
    close: () => {
      for (const signal of heard) process.off(signal, onSignal);
    },
  };
}
