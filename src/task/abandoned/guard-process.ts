/** The guard's own program: waits for the end of its pipe, and of the process behind it, then removes that one's tasks. */
import { text } from 'node:stream/consumers';
import { pause } from '../../core/pause.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { openInstallation } from '../installation.ts';
import type { GuardOrder } from './guard.ts';
import { DISMISSAL, READY } from './guard-words.ts';
import { reapTasksOf } from './reap.ts';

/** The kernel closes a dying process's pipes moments before it is gone. */
const SOON_MS = 1_000;
const POLL_SOON_MS = 5;
/** The thread that started the guard has ended, and its process runs on. */
const POLL_LATER_MS = 200;

const { layout, owner }: GuardOrder = JSON.parse(process.argv[2] ?? '');
const installation = openInstallation(layout);
// Who stops a service tells all its processes to end. The owner may take its time; this one ends after it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
// The owner may not read any more.
process.stdout.on('error', () => undefined);
process.stdout.write(READY);

if ((await text(process.stdin)) !== DISMISSAL) {
  await endOf(owner);
  const { reaped, corrupt } = await reapTasksOf(installation, owner);
  process.exitCode = corrupt.length === 0 && reaped.every(({ removed }) => removed) ? 0 : 1;
}

async function endOf(process: Owner): Promise<void> {
  const soonUntil = performance.now() + SOON_MS;
  while (isOwnerAlive(process)) {
    await pause(performance.now() < soonUntil ? POLL_SOON_MS : POLL_LATER_MS);
  }
}
