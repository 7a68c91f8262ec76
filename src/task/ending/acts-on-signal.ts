/** Decides whether to wait for a task's first process to act on a signal. */
import { pause } from '../../core/pause.ts';
import { hasExecuted, type SignalDisposition, signalDisposition } from '../../sys/ask-process.ts';
import { nsPidOf } from '../../sys/handled-process.ts';

/** Pauses between looks at a process that blocks the signal: five looks in less than a tenth of a second. */
const PAUSES_MS = [1, 4, 16, 64];

/**
 * False for a pid 1 without a handler, because the kernel drops the signal. Also false before the process has become its command, because
 * until then the handlers are the runtime's; and for a process that does not answer.
 */
export async function actsOnSignal(pid: number, signal: number): Promise<boolean> {
  if ((await hasExecuted(pid)) !== true) return false;
  if (nsPidOf(pid) !== 1) return true;
  return await isWaitedFor(() => signalDisposition(pid, signal));
}

/**
 * A process that reads the signal through signalfd(2) blocks it all the time. But the C library also blocks every signal while it forks, so
 * a single look at a shell could mistake it for such a process.
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
