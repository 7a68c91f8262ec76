/** Signals that mean something to a program and nothing to stackshim: a running task gets them, as `docker run` has it. */
import { constants } from 'node:os';
import { signalDisposition } from '../sys/ask-process.ts';
import { heededSignals, signalProcess } from '../sys/processes.ts';
import type { TaskEvent } from '../task/events.ts';

const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const;

export interface SignalForwarder {
  /** To be told of every event of the task: signals go to its first process while that runs. */
  onEvent(event: TaskEvent): void;
  /** Gives the signals back their usual meaning. */
  close(): void;
}

/**
 * A signal that the task's first process has no handler for is dropped, as the kernel does with those from inside; so is one for a
 * process that does not let itself be asked.
 */
export function forwardSignals(): SignalForwarder {
  let pid: number | undefined;
  const forward = async (to: number, signal: number) => {
    const seen = await signalDisposition(to, signal);
    // That took time: the task may have ended.
    if (pid === to && (seen === 'handled' || seen === 'blocked')) signalProcess(to, signal);
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (pid !== undefined) void forward(pid, constants.signals[name]);
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
