/** Whether it makes sense to wait for a task's first process to act on a signal. */
import { pause } from '../../core/pause.ts';
import { hasExecuted, type SignalDisposition, signalDisposition } from '../../sys/ask-process.ts';
import { nsPidOf } from '../../sys/handled-process.ts';

/** Between looks at a process that has the signal blocked: five looks in less than a tenth of a second. */
const PAUSES_MS = [1, 4, 16, 64];

/**
 * False for a pid 1 without a handler: the kernel drops the signal. While it has not become its command yet the handlers are the
 * runtime's, which mean nothing. False, too, for a process that does not let itself be asked.
 */
export async function actsOnSignal(pid: number, signal: number): Promise<boolean> {
  if ((await hasExecuted(pid)) !== true) return false;
  if (nsPidOf(pid) !== 1) return true;
  return await isWaitedFor(() => signalDisposition(pid, signal));
}

/**
 * A process that takes the signal by signalfd(2) has it blocked whenever one looks. The C library blocks every signal while it forks:
 * a shell that is seen just then would be waited for in vain.
 */
export async function isWaitedFor(
  look: () => Promise<SignalDisposition | undefined>,
): Promise<boolean> {
  for (const pauseMs of PAUSES_MS) {
    const seen = await look();
    if (seen !== 'blocked') return seen === 'handled';
    await pause(pauseMs);
  }
  return ['handled', 'blocked'].includes((await look()) ?? '');
}
