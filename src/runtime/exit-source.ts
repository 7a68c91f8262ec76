/** Where the exit of a container's command comes from. */
import { msSinceExit, wasDelayed, watchLoop } from '../sys/clocks.ts';
import type { ExitWatcher } from '../sys/exit-watcher.ts';
import { readProcess } from '../sys/processes.ts';
import type { Fd, ProcessExit } from '../sys/system.ts';

/**
 * Reports how a container's command ended. The source is the kernel for a child of this process ({@link watchChild}), or a program that knows
 * more than the child's exit, such as a sandbox.
 */
export interface ExitSource {
  /** Resolves when the container's first process has ended; rejects if its exit is unknown. */
  readonly exited: Promise<ProcessExit>;
  /** After the end: false if the command never began; undefined if unknown. */
  executed(): boolean | undefined;
  /** After the end: when the command ended, on the clock of `performance`; if unknown, when the end was noticed. */
  endedAt(): number;
  stop(): void;
}

/** A process that this process must wait for, as parent or subreaper. */
export interface ChildToWatch {
  readonly exits: Pick<ExitWatcher, 'wait' | 'stopWaiting'>;
  readonly pid: number;
  readonly pidfd: Fd;
}

/** Watches the child's own exit, including facts that only a zombie shows. Throws if the descriptor cannot be watched. */
export function watchChild({ exits, pid, pidfd }: ChildToWatch): ExitSource {
  let executed = true;
  let endedAt: number | undefined;
  const exited = exits.wait(pidfd, (noticedAt) => {
    executed = readProcess(pid)?.executed ?? true;
    const sinceMs = wasDelayed() ? (msSinceExit(pid) ?? 0) : 0;
    endedAt = Math.min(noticedAt, performance.now() - sinceMs);
  });
  // Callers that await `exited` get the rejection.
  exited.catch(() => undefined);
  const unwatchLoop = watchLoop();
  return {
    exited,
    executed: () => executed,
    endedAt: () => endedAt ?? performance.now(),
    stop() {
      unwatchLoop();
      exits.stopWaiting(pidfd);
    },
  };
}
