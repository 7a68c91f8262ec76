/** Ends a further command: by a signal to its process group and KILL after a grace time, or by KILL at once. */
import { openPromise } from '../../core/pause.ts';
import type { ExecOptions } from './exec-options.ts';

/** Time from the first signal to KILL. */
const GRACE_MS = 10_000;
/** A killed command that has not ended after this time is stuck in the kernel. */
const GONE_WITHIN_MS = 10_000;

export interface StoppableCommand {
  /** Asks the command to end, with the signal that the caller's abort reason names. */
  stop(reason: unknown): void;
  kill(): void;
}

export type ExecStopper = ReturnType<typeof openExecStopper>;

export function openExecStopper({
  signal,
  killSignal,
}: Pick<ExecOptions, 'signal' | 'killSignal'>) {
  const stopped = new AbortController();
  const stoppedSignal: AbortSignal = stopped.signal;
  let command: StoppableCommand | undefined;
  let asked: 'stop' | 'kill' | undefined;
  let timer: NodeJS.Timeout | undefined;
  const { promise: stuck, resolve: giveUp } = openPromise<undefined>();
  const carryOut = () => {
    if (command === undefined || asked === undefined) return;
    clearTimeout(timer);
    if (asked === 'kill') {
      timer = setTimeout(giveUp, GONE_WITHIN_MS, undefined);
      command.kill();
    } else {
      timer = setTimeout(onKill, GRACE_MS);
      command.stop(signal?.reason);
    }
  };
  const ask = (how: 'stop' | 'kill') => {
    asked = how;
    stopped.abort();
    carryOut();
  };
  const onStop = () => ask('stop');
  const onKill = () => ask('kill');
  signal?.addEventListener('abort', onStop, { once: true });
  killSignal?.addEventListener('abort', onKill, { once: true });
  if (signal?.aborted) onStop();
  if (killSignal?.aborted) onKill();
  return {
    /** Aborts when the caller wants the command to end. */
    signal: stoppedSignal,
    /** Resolves when a killed command has not ended in time. */
    stuck,
    /** Registers the command, and ends it if the caller has already asked for that. */
    attach(given: StoppableCommand): void {
      command = given;
      carryOut();
    },
    /** Stops signalling, because the command has ended. */
    end(): void {
      command = undefined;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onStop);
      killSignal?.removeEventListener('abort', onKill);
    },
  };
}
