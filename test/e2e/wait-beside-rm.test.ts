/** `wait` tells how a task ended that another process ends and removes at the same time. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { unlessMissing } from '../../src/core/errors.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { env } = useInstallation();

/** Starts a task, and waiters that watch its folder. */
async function startWaiting(id: string, count: number) {
  await runCli(['run', '-d', '--name', id, 'busybox', 'sleep', '1000'], { env });
  const waiters = Array.from({ length: count }, () => startCli(['wait', id], { env }));
  for (const { child } of waiters) await waitUntil(() => filesOf(child.pid).includes('inotify'));
  return waiters;
}

/** The targets of a process's descriptors. */
const filesOf = (pid: number | undefined) =>
  readdirSync(`/proc/${pid}/fd`)
    .flatMap((fd) => unlessMissing(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [])
    .join('\n');

const remove = async (id: string) => {
  const removed = await runCli(['rm', '--force', id], { env });
  expect(removed).toMatchObject({ status: 0, stdout: `${id}\n`, stderr: '' });
};

it('tells the status of a task that is ended and removed at once', async () => {
  for (let round = 0; round < 10; round += 1) {
    const id = `fleeting-${round}`;
    const waiters = await startWaiting(id, 2);
    await remove(id);
    for (const { ended } of waiters) {
      expect(await ended).toMatchObject({ status: 0, stdout: '143\n', stderr: '' });
    }
  }
});

it('does not hold up the removal for long', async () => {
  const [waiter] = await startWaiting('held', 1);
  waiter?.child.kill('SIGSTOP');
  await remove('held');
  waiter?.child.kill('SIGCONT');
  await waiter?.ended;
});
