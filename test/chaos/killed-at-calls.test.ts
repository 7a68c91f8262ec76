/** The owner is killed before each system call that it makes for a task, from the first to the last: one reap leaves nothing. */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStackshim, type TaskInput } from '../../src/index.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { snapshotHost } from '../support/host/host-snapshot.ts';
import { expectNoLeaksSince } from '../support/host/leak-check.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { runFixture, startFixture } from '../support/programs/bun-fixture.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { seedRandom } from './support/seeded-random.ts';

const { layout, options } = useInstallation();
const roots = [layout.root, layout.run];
/** The number of calls, of more than a hundred, that the everyday run tries. */
const SHARE = 12;

const program = new URL('../fixtures/die-at-call.ts', import.meta.url);
const folder = mkdtempSync('/var/tmp/stackshim-calls-');
chmodSync(folder, 0o755);
mkdirSync(join(folder, 'code'));
writeFileSync(join(folder, 'code/program'), 'text');
afterAll(() => rmSync(folder, { recursive: true }));

const TENANTS = { tenants: { acme: { weight: 50, maxTasks: 1 } } };
beforeAll(() => writeFileSync(layout.policyFile, JSON.stringify(TENANTS)));

type Task = Pick<TaskInput, 'tenant' | 'code' | 'payload' | 'disk' | 'remove'>;

const TASKS: readonly (readonly [string, Task])[] = [
  ['a plain task', {}],
  [
    'a tenant’s task with code, payload and an unusual disk limit',
    { tenant: 'acme', code: join(folder, 'code'), payload: 'text', disk: '64m' },
  ],
  ['a task with asynchronous removal', { remove: 'async' }],
];

const argumentsFor = (task: Task, call: number) => {
  const command = ['sh', '-c', 'echo text > /made; echo out; exit 7'];
  return [
    JSON.stringify(options),
    JSON.stringify({ stack: 'busybox', command, ...task }),
    `${call}`,
  ];
};

/** False if the task ended before that call: how often its exit is polled varies. */
async function dieAt(task: Task, call: number): Promise<boolean> {
  const child = startFixture(program, argumentsFor(task, call));
  const [code, signal] = await once(child, 'exit');
  if (signal !== 'SIGKILL') expect({ code, signal }).toEqual({ code: 0, signal: null });
  return signal === 'SIGKILL';
}

async function reap(): Promise<number> {
  const { reaped, corrupt } = await openStackshim(options).reap();
  expect(corrupt).toEqual([]);
  expect(reaped.filter(({ removed }) => !removed)).toEqual([]);
  return reaped.length;
}

describe('SIGKILL before each call of', () => {
  it.each(TASKS)('%s', { timeout: scaled(1_800_000) }, async (_name, task) => {
    const random = seedRandom('killed-at-calls');
    // The first task of a stack after boot makes a few more calls.
    await runFixture(program, argumentsFor(task, -1));
    const calls = Number(await runFixture(program, argumentsFor(task, -1)));
    const all = Array.from({ length: calls }, (_, call) => call);
    const chosen = isFullRun ? all : all.filter(() => random.next() < SHARE / calls);
    let died = 0;
    let found = 0;
    for (const call of chosen) {
      const before = snapshotHost(roots);
      if (await dieAt(task, call)) died += 1;
      found += await reap();
      expect(await reap()).toBe(0);
      await expectNoLeaksSince(before, { roots });
      // A tenant with one place for tasks can use it again.
      await runFixture(program, argumentsFor(task, -1));
    }
    console.log(`${calls} calls, killed at ${died}, reaped ${found}`);
    expect(died).toBeGreaterThan(chosen.length / 2);
    expect(found).toBeGreaterThan(0);
    expect((await verifyStore(layout)).damage).toEqual([]);
  });
});
