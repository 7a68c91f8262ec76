/**
 * The guard's work: enforces the time limits and permits of its owner's tasks. When the
 * owner's end of the pipe has closed and the owner has ended, removes the owner's tasks.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TaskId } from '../../core/ids.ts';
import { pause } from '../../core/pause.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { warnOf } from '../events.ts';
import { type Installation, openInstallation } from '../installation.ts';
import { listTaskIds } from '../records/read-record.ts';
import type { GuardOrder } from './guard.ts';
import { DISMISSAL, parsePermitLine, READY } from './guard-words.ts';
import { holdLimits, LIMIT_LOOK_MS } from './hold-limits.ts';
import { holdPermits } from './hold-permits.ts';
import { reapTasksOf } from './reap.ts';

/** The kernel closes a dying process's pipes moments before the process is gone. */
const SOON_MS = 1_000;
const POLL_SOON_MS = 5;
/** The pipe also closes when only the thread that started the guard ends, while its process runs on. */
const POLL_LATER_MS = 200;
/** Pauses before retries: resources in use or stuck in the kernel may become free soon, and no one else may retry for a long time. */
const TRY_AGAIN_MS = [100, 1_000, 10_000] as const;
/** Time between looks for tasks of ended threads. */
const LOOK_INTERVAL_MS = 1_000;

/** Resolves when the owner has dismissed the guard, or has died and its tasks are removed. Sets the exit status. */
export async function serveGuard({ layout, owner }: GuardOrder): Promise<void> {
  const installation = openInstallation(layout);
  // Stopping a service signals all its processes. The owner may take its time to end, and the guard must outlive it.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => undefined);
  }
  // The owner may no longer read.
  process.stdout.on('error', () => undefined);
  const isOwn = ({ pid, startTime }: Owner) => pid === owner.pid && startTime === owner.startTime;
  const lookAtLimits = holdLimits(installation, isOwn);
  const permits = holdPermits(installation, isOwn);
  const lookForThreads = () => reapTasksOf(installation, owner);
  const lookForLate = () => lookAtLimits(listTaskIds(installation.layout));
  const looks = [
    setInterval(lookOrWarn, LOOK_INTERVAL_MS, 'look for ended threads', lookForThreads),
    setInterval(lookOrWarn, LIMIT_LOOK_MS, 'look for late tasks', lookForLate),
  ];
  let isDismissed = false;
  const lines = createInterface({ input: process.stdin, crlfDelay: 0 });
  lines.on('line', (line) => {
    const permit = parsePermitLine(line);
    if (permit !== undefined) permits.note(permit);
    else if (line === DISMISSAL) isDismissed = true;
  });
  process.stdout.write(READY);
  await once(lines, 'close');
  const soonUntil = performance.now() + SOON_MS;
  while (!isDismissed && isOwnerAlive(owner)) {
    await pause(performance.now() < soonUntil ? POLL_SOON_MS : POLL_LATER_MS);
  }
  looks.forEach(clearInterval);
  permits.close();
  if (isDismissed) return;
  process.exitCode = (await removeTasksOf(installation, owner)) ? 0 : 1;
}

/** Resolves to true if nothing of the owner's tasks is left and no record is damaged. */
async function removeTasksOf(installation: Installation, owner: Owner): Promise<boolean> {
  const left = new Set<TaskId>();
  for (const pauseMs of [...TRY_AGAIN_MS, undefined]) {
    try {
      const { reaped, corrupt } = await reapTasksOf(installation, owner);
      for (const { id, removed } of reaped) {
        if (removed) left.delete(id);
        else left.add(id);
      }
      if (left.size === 0) return corrupt.length === 0;
    } catch (error) {
      // Tasks may be left: try again, as after a removal that failed.
      warnOf('remove the tasks of a dead process', error);
    }
    if (pauseMs !== undefined) await pause(pauseMs);
  }
  return false;
}

/** Reports a failed look as a warning; the next look retries. The exit status reports what is left at the end. */
async function lookOrWarn(operation: string, look: () => unknown): Promise<void> {
  try {
    await look();
  } catch (error) {
    warnOf(operation, error);
  }
}
