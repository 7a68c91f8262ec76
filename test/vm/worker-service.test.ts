/** The worker as a service of systemd: start, health, upgrade under load, restart after a kill and after a hang. Requires: a guest with Redis. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { layoutFrom } from '../../src/core/layout.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { addJobs, laneOf, queueOf } from '../support/queues/lanes.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { showUnit, systemctl, useShippedUnits } from './support/shipped-units.ts';

const PASSWORD = 'store-secret';
const [A, B] = ['stackshim-worker@a.service', 'stackshim-worker@b.service'];
const DROP_IN = '/etc/systemd/system/stackshim-worker@.service.d';

let redis: RedisServer;
let store: QueueStore;

useShippedUnits();
beforeAll(async () => {
  await installBusyboxStack(layoutFrom({}, process.env));
  redis = await startRedis({ password: PASSWORD });
  store = await openStore(redis.url, { lockMs: 30_000, stalledLookMs: 30_000 });
  for (const folder of ['/etc/stackshim', '/etc/credstore', DROP_IN]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  writeFileSync('/etc/credstore/stackshim-store-password', `${PASSWORD}\n`, { mode: 0o600 });
  const settings = [
    `STACKSHIM_STORE_URL=redis://127.0.0.1:${redis.port}/0`,
    'STACKSHIM_QUEUES=mail=4 reports',
    'STACKSHIM_WORKER_OPTIONS=--drain 1h',
  ];
  writeFileSync('/etc/stackshim/worker.env', settings.map((line) => `${line}\n`).join(''));
  // A test cannot wait a minute for the watchdog, and an emulated processor takes minutes to start a worker.
  const quick = ['[Service]', `WatchdogSec=${scaled(5)}s`, `TimeoutStartSec=${scaled(60)}s`];
  writeFileSync(
    `${DROP_IN}/quick.conf`,
    quick
      .map(
        (line) => `${line}
`,
      )
      .join(''),
  );
  systemctl('daemon-reload');
});
beforeEach(() => {
  onTestFailed(() => console.error(journalOf(A), journalOf(B)));
  for (const unit of [A, B]) systemctl('stop', unit);
});
afterAll(async () => {
  for (const unit of [A, B]) systemctl('stop', unit);
  for (const path of [DROP_IN, '/etc/stackshim', '/etc/credstore/stackshim-store-password']) {
    rmSync(path, { recursive: true, force: true });
  }
  await store?.close();
  await redis?.remove();
});

const journalOf = (unit: string) =>
  execFileSync('journalctl', ['--unit', unit, '--output', 'cat', '--lines', '40'], {
    encoding: 'utf8',
  });
const pidOf = (unit: string) => showUnit(unit, 'MainPID');
const tasks = () => readdirSync('/run/stackshim/tasks');
const stateOf = (id: string) => queueOf(store, laneOf('mail')).getJobState(id);
/** A job that failed does not complete later. */
async function completed(id: string): Promise<void> {
  const state = await waitUntil(async () => {
    const now = await stateOf(id);
    return (now === 'completed' || now === 'failed') && now;
  });
  expect(state, id).toBe('completed');
}

const add = (jobId: string, script: string, more: object = {}) =>
  addJobs(store, laneOf('mail'), [
    { jobId, data: { version: 1, stack: 'busybox', command: ['sh', '-c', script], ...more } },
  ]);
/** A script that goes on until it is released. */
const waiting = (seconds: number) => `sleep ${seconds} || true`;
/** Returns how many were released. */
function release(seconds: number): number {
  const found = readdirSync('/proc').filter((name) => isSleep(name, seconds));
  for (const pid of found) process.kill(Number(pid), 'SIGTERM');
  return found.length;
}
function isSleep(pid: string, seconds: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
  } catch {
    // It is no process, or has ended.
    return false;
  }
}

const started = () => waitUntil(() => tasks().length > 0);

it('takes jobs when systemctl start returns, with the password of its credential', async () => {
  systemctl('start', A);
  expect(showUnit(A, 'ActiveState')).toBe('active');
  await waitUntil(() => showUnit(A, 'StatusText') === '0 jobs running, 0 lanes');
  // A mount namespace of its own would hide the layers that it mounts from reap and gc.
  expect(readlinkSync(`/proc/${pidOf(A)}/ns/mnt`)).toBe(readlinkSync('/proc/1/ns/mnt'));
  expect(readFileSync(`/proc/${pidOf(A)}/cmdline`, 'utf8')).not.toContain(PASSWORD);
  await add('first', 'true');
  await completed('first');
  const socket = '/run/stackshim-worker/a/health';
  const asked = `require('node:http').get({ socketPath: '${socket}', path: '/readyz' }, (r) => process.exit(r.statusCode === 200 ? 0 : 1))`;
  expect(spawnSync(process.execPath, ['-e', asked]).status).toBe(0);
  const log = journalOf(A);
  expect(log).toContain('"event":"job_ended"');
  expect(log).not.toContain(PASSWORD);
});

it('an upgrade ends nothing: the old worker drains beside the new one', async () => {
  systemctl('start', A);
  await add('long', waiting(1001));
  await started();
  systemctl('start', B);
  systemctl('stop', '--no-block', A);
  await add('next', 'true');
  await completed('next');
  expect(showUnit(A, 'ActiveState')).toBe('deactivating');
  release(1001);
  await completed('long');
  await waitUntil(() => showUnit(A, 'ActiveState') === 'inactive');
  expect(showUnit(A, 'Result')).toBe('success');
  expect((await queueOf(store, laneOf('mail')).getJob('long'))?.attemptsMade).toBe(1);
});

it('a killed worker is started again, nothing of its tasks is left, and its jobs run', async () => {
  systemctl('start', A);
  const before = pidOf(A);
  await add('killed', waiting(1002));
  await started();
  const [task] = tasks();
  systemctl('kill', '--kill-whom=all', '--signal=KILL', A);
  await waitUntil(() => !tasks().includes(task ?? ''));
  await waitUntil(() => showUnit(A, 'ActiveState') === 'active' && pidOf(A) !== before);
  await waitUntil(() => release(1002) > 0);
  await completed('killed');
});

it('a worker that hangs is killed by the watchdog and started again', async () => {
  systemctl('start', A);
  const before = pidOf(A);
  process.kill(Number(before), 'SIGSTOP');
  await waitUntil(() => showUnit(A, 'NRestarts') === '1');
  await waitUntil(() => showUnit(A, 'ActiveState') === 'active');
  expect(pidOf(A)).not.toBe(before);
});
