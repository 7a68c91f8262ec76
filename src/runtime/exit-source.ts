/** Where the exit of a container's command comes from. */
import { msSinceExit, wasHeldUp, watchLoop } from '../sys/clocks.ts';
import type { ExitWatcher } from '../sys/exit-watcher.ts';
import { readProcess } from '../sys/processes.ts';
import type { Fd, ProcessExit } from '../sys/system.ts';

/**
 * Who tells how a container's command ended: the kernel, of a child of this process ({@link watchChild}), or whoever knows better than the
 * exit of that child, as a sandbox does.
 */
export interface ExitSource {
  /** Resolves once the container's first process has ended; rejects when its exit cannot be learnt. */
  readonly exited: Promise<ProcessExit>;
  /** Once it has ended: false when the command had never begun; undefined where nobody can tell. */
  executed(): boolean | undefined;
  /** Once it has ended: when, on the clock of `performance`. Where that cannot be told it is the moment of noticing. */
  endedAt(): number;
  stop(): void;
}

/** A process that this one must wait for: it started it, or is the subreaper of those who did. */
export interface ChildToWatch {
  readonly exits: Pick<ExitWatcher, 'wait' | 'abandon'>;
  readonly pid: number;
  readonly pidfd: Fd;
}

/** The exit of the child itself, with what only a zombie tells. Throws when the descriptor cannot be watched. */
export function watchChild({ exits, pid, pidfd }: ChildToWatch): ExitSource {
  let executed = true;
  let endedAt: number | undefined;
  const exited = exits.wait(pidfd, (noticedAt) => {
    executed = readProcess(pid)?.executed ?? true;
    endedAt = endOf(pid, noticedAt);
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

function endOf(pid: number, noticedAt: number): number {
  if (!wasHeldUp()) return noticedAt;
  return Math.min(noticedAt, performance.now() - (msSinceExit(pid) ?? 0));
}
