/** Stops a server with all its processes, as a machine does that hangs. */
import { readFileSync } from 'node:fs';
import { waitUntil } from '../timing/wait-until.ts';

/**
 * Resolves once all are stopped. A process acts on the signal a moment later, and may have started another one by then, so `list` is asked
 * until it names nobody who runs.
 *
 * @param list The process that starts the others, then these.
 */
export async function freezeProcesses(list: () => readonly number[]): Promise<void> {
  await waitUntil(() => {
    const pids = list();
    if (pids.every(isStopped)) return true;
    signalAll(pids, 'SIGSTOP');
    return false;
  });
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Also true of a process that has ended. */
function isStopped(pid: number): boolean {
  try {
    return /^State:\s+[TZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
