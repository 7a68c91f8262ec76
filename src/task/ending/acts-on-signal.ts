/** Whether it makes sense to wait for a task's first process to act on a signal. */
import { pause } from '../../core/pause.ts';
import {
  nsPidOf,
  readProcess,
  type SignalDisposition,
  signalDisposition,
} from '../../sys/processes.ts';

/** Between looks at a process that has the signal blocked: five looks in less than a tenth of a second. */
const PAUSES_MS = [1, 4, 16, 64];

/**
 * False for a pid 1 without a handler: the kernel drops the signal. While it has not become its command yet the handlers are the
 * runtime's, which mean nothing.
 */
export async function actsOnSignal(pid: number, signal: number): Promise<boolean> {
  if (readProcess(pid)?.executed !== true) return false;
  if (nsPidOf(pid) !== 1) return true;
  return await isWaitedFor(() => signalDisposition(pid, signal));
}

/**
 * A process that takes the signal by signalfd(2) has it blocked whenever one looks. The C library blocks every signal while it forks:
 * a shell that is seen just then would be waited for in vain.
 */
export async function isWaitedFor(look: () => SignalDisposition): Promise<boolean> {
  for (const pauseMs of PAUSES_MS) {
    const seen = look();
    if (seen !== 'blocked') return seen === 'handled';
    await pause(pauseMs);
  }
  return look() !== 'dropped';
}
