/** Waits for the end of a task's first process, and learns what only a zombie tells. */
import { msSinceExit } from '../sys/exit-clock.ts';
import type { ExitWatcher } from '../sys/exit-watcher.ts';
import { wasHeldUp, watchLoop } from '../sys/loop-beat.ts';
import { readProcess } from '../sys/processes.ts';
import type { Fd, ProcessExit } from '../sys/system.ts';

export interface ExitWatch {
  /** As that of {@link ExitWatcher.wait}. */
  readonly exited: Promise<ProcessExit>;
  /** Once it has ended: false when it had never become the command. */
  executed(): boolean;
  /** Once it has ended: when, on the clock of `performance`. Where that cannot be told it is the moment of noticing. */
  endedAt(): number;
  stop(): void;
}

/** Throws when the descriptor cannot be watched. */
export function watchExit(
  exits: ExitWatcher,
  { pid, pidfd }: { readonly pid: number; readonly pidfd: Fd },
): ExitWatch {
  let executed = true;
  let endedAt: number | undefined;
  const exited = exits.wait(pidfd, () => {
    executed = readProcess(pid)?.executed ?? true;
    endedAt = endOf(pid);
  });
  // Whoever awaits it hears of it.
  exited.catch(() => undefined);
  const unwatchLoop = watchLoop();
  return {
    exited,
    executed: () => executed,
    endedAt: () => endedAt ?? performance.now(),
    stop() {
      unwatchLoop();
      exits.abandon(pidfd);
    },
  };
}

function endOf(pid: number): number {
  const now = performance.now();
  return wasHeldUp() ? now - (msSinceExit(pid) ?? 0) : now;
}
