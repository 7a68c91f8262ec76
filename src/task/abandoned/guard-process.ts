/**
 * The program of a guard: enforces the time limits of its owner's tasks, waits until the owner's end of the pipe closes and the owner has
 * ended, then removes the owner's tasks.
 */
import { text } from 'node:stream/consumers';
import { toStackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { openInstallation } from '../installation.ts';
import { listTaskIds } from '../records/read-record.ts';
import type { GuardOrder } from './guard.ts';
import { DISMISSAL, READY } from './guard-words.ts';
import { LIMIT_LOOK_MS, LimitHolder } from './hold-limits.ts';
import { reapTasksOf } from './reap.ts';

/** The kernel closes a dying process's pipes moments before the process is gone. */
const SOON_MS = 1_000;
const POLL_SOON_MS = 5;
/** The pipe also closes when only the thread that started the guard has ended and its process runs on. */
const POLL_LATER_MS = 200;
/** Time between looks for tasks of threads that have ended. */
const LOOK_INTERVAL_MS = 1_000;

const { layout, owner }: GuardOrder = JSON.parse(process.argv[2] ?? '');
const installation = openInstallation(layout);
// A service manager that stops a service signals all of its processes. The owner may take its time to end, and the guard must outlive it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
// The owner may not read any more.
process.stdout.on('error', () => undefined);
process.stdout.write(READY);

const looks = setInterval(() => void reapThreads(), LOOK_INTERVAL_MS);
const holder = new LimitHolder(
  installation,
  ({ pid, startTime }) => pid === owner.pid && startTime === owner.startTime,
);
const limitLooks = setInterval(() => holdLimits(), LIMIT_LOOK_MS);
const word = await text(process.stdin);
if (word === DISMISSAL) {
  clearInterval(looks);
  clearInterval(limitLooks);
} else {
  await endOf(owner);
  clearInterval(looks);
  clearInterval(limitLooks);
  const { reaped, corrupt } = await reapTasksOf(installation, owner);
  process.exitCode = corrupt.length === 0 && reaped.every(({ removed }) => removed) ? 0 : 1;
}

/** Reports a failed look as a warning and leaves it to the next look; the exit status reports what is left at the end. */
async function reapThreads(): Promise<void> {
  try {
    await reapTasksOf(installation, owner);
  } catch (error) {
    process.emitWarning(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'look for ended threads'));
  }
}

function holdLimits(): void {
  try {
    holder.look(listTaskIds(layout));
  } catch (error) {
    process.emitWarning(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'look for late tasks'));
  }
}

async function endOf(process: Owner): Promise<void> {
  const soonUntil = performance.now() + SOON_MS;
  while (isOwnerAlive(process)) {
    await pause(performance.now() < soonUntil ? POLL_SOON_MS : POLL_LATER_MS);
  }
}
