/** How a task ended, as one word. Pure. */
import { constants } from 'node:os';
import type { StackshimError } from '../core/errors.ts';
import type { ProcessExit } from '../sys/system.ts';
import type { Verdict } from './result.ts';

/** Why the shim ended a task: the first cause wins. */
export type StopCause =
  | 'timed_out'
  | 'cpu_time_exceeded'
  | 'output_limited'
  | 'oom_killed'
  | 'disk_full'
  | 'cancelled';

export interface Ending {
  /** Null: the command never ran. */
  readonly exit: ProcessExit | null;
  readonly stopCause: StopCause | null;
  readonly oomKills: number | null;
  /** Whether its disk space was full at any time that it was looked at. */
  readonly diskWasFull: boolean;
}

export function decideVerdict({ exit, stopCause, oomKills, diskWasFull }: Ending): Verdict {
  if (stopCause !== null) return stopCause;
  if (exit === null) return 'setup_failed';
  if (exit.exitCode === 0) return 'succeeded';
  if (oomKills !== null && oomKills > 0) return 'oom_killed';
  if (diskWasFull) return 'disk_full';
  return exit.signal === null ? 'failed' : 'signaled';
}

/** Whether another try, here or elsewhere, may succeed: the platform was at fault, not the task. */
export function isRetryable(error: StackshimError | null): boolean {
  if (error === null) return false;
  return ['exhausted', 'unavailable', 'internal', 'aborted'].includes(error.kind);
}

const signalNames = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/** `SIGKILL` for 9; `SIG34` for one without a name. */
export const signalName = (signal: number) => signalNames.get(signal) ?? `SIG${signal}`;
