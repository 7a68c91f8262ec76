/** The budget that the workers of one machine share: a folder of locked files. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantName } from '../../src/core/ids.ts';
import { randomName } from '../../src/sys/files.ts';
import { bootId } from '../../src/sys/processes.ts';
import type { Budget } from '../../src/worker/intake/budget/budget.ts';
import { toRoom } from '../../src/worker/intake/budget/room.ts';
import { runFixture, startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import {
  GIB,
  openTestBudget,
  SMALL,
  type TestBudgetOptions,
} from '../support/queues/start-test-intake.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const FIXTURE = new URL('../fixtures/share-budget.ts', import.meta.url);
const acme = 'acme' as TenantName;
const twice = { memoryBytes: 2 * GIB, diskBytes: GIB, cpus: 1 };
const clock = { monotonicMs: () => performance.now() };
const never = new AbortController().signal;

describe('a budget', () => {
  let base: string;
  let folder: string;
  let budgets: Budget[];
  const open = (options: Omit<TestBudgetOptions, 'folder'> = {}) => {
    const budget = openTestBudget({ folder, jobs: 4, ...options });
    budgets.push(budget);
    return budget;
  };

  beforeEach(() => {
    base = mkdtempSync('/var/tmp/stackshim-budget-');
    folder = `${base}/workers`;
    budgets = [];
  });

  afterEach(() => {
    for (const budget of budgets) budget.close();
    expect(readdirSync(folder)).toEqual([]);
    rmSync(base, { recursive: true });
  });

  it('is shared by two workers, and given back', async () => {
    const [one, other] = [open(), open()];
    const first = one.reserve({ needs: twice });
    expect(other.reserve({ needs: twice })).toBeDefined();
    expect(one.reserve({ needs: SMALL })).toBeUndefined();
    expect(other.reserve({ needs: SMALL })).toBeUndefined();
    first?.release();
    first?.release();
    await waitUntil(() => other.reserve({ needs: twice }));
    expect(one.reserved().memoryBytes).toBe(0);
    expect(other.reserved().memoryBytes).toBe(4 * GIB);
  });

  it('counts the tasks of a tenant over both workers', () => {
    const [one, other] = [open(), open()];
    const request = { needs: SMALL, tenant: acme, maxTasks: 2 };
    const first = one.reserve(request);
    expect(other.reserve(request)).toBeDefined();
    expect(one.reserve(request)).toBeUndefined();
    expect(one.reserve({ ...request, tenant: 'other' as TenantName })).toBeDefined();
    first?.release();
    expect(one.reserve(request)).toBeDefined();
  });

  it('keeps room free for whoever waits longest, also in another worker', async () => {
    const [one, other] = [open(), open()];
    const all = { memoryBytes: 4 * GIB, diskBytes: GIB, cpus: 1 };
    const held = one.reserve({ needs: SMALL });
    const claim = other.claim({ needs: all, sinceMs: 5 });
    await waitUntil(() => one.room().memoryBytes < 0);
    expect(one.reserve({ needs: SMALL })).toBeUndefined();
    expect(other.reserve({ needs: SMALL })).toBeUndefined();
    // An older wait comes first.
    const older = one.reserve({ needs: SMALL, sinceMs: 4 });
    expect(older).toBeDefined();
    older?.release();
    expect(other.reserve({ needs: all, sinceMs: 5 })).toBeUndefined();
    held?.release();
    await waitUntil(() => other.reserve({ needs: all, sinceMs: 5 }));
    claim.drop();
  });

  it('makes a resize wait for room, in the order of the calls, and holds nothing meanwhile', async () => {
    const [one, other] = [open(), open()];
    const held = other.reserve({ needs: twice });
    const order: string[] = [];
    const reserve = () => one.reserve({ needs: SMALL });
    const [first, second] = [reserve(), reserve()];
    if (first === undefined || second === undefined) throw new Error('no room');
    const grow = async (name: string, reservation: typeof first) => {
      await toRoom(one, reservation, clock).resize({ ...SMALL, memoryBytes: 3 * GIB }, never);
      order.push(name);
      reservation.release();
    };
    const grown = [grow('first', first), grow('second', second)];
    expect([first.needs.memoryBytes, second.needs.memoryBytes]).toEqual([0, 0]);
    held?.release();
    await Promise.all(grown);
    expect(order).toEqual(['first', 'second']);
  });

  it('gives room to jobs that wait, however often it has room before they go on', async () => {
    const budget = open();
    const reserve = (memoryBytes: number) => {
      const reservation = budget.reserve({ needs: { ...SMALL, memoryBytes } });
      if (reservation === undefined) throw new Error('no room');
      return reservation;
    };
    const [first, second, third, big] = [reserve(0), reserve(0), reserve(0), reserve(4 * GIB)];
    const wait = (reservation: typeof big) =>
      toRoom(budget, reservation, clock).resize(SMALL, never);
    const waits = [wait(first), wait(second)];
    big.release();
    third.release();
    await Promise.all(waits);
    expect(budget.reserved().memoryBytes).toBe(2 * SMALL.memoryBytes);
  });

  it('refuses a resize that this machine can never meet, and one that was given up', async () => {
    const budget = open();
    const reservation = budget.reserve({ needs: SMALL });
    if (reservation === undefined) throw new Error('no room');
    const room = toRoom(budget, reservation, clock);
    const huge = { ...SMALL, memoryBytes: 5 * GIB };
    await expect(room.resize(huge, never)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_HOST_EXHAUSTED',
      details: { resource: 'memory', asked: 5 * GIB, most: 4 * GIB },
    });
    // More processors than there are: all of them.
    await room.resize({ ...SMALL, cpus: 64 }, never);
    expect(room.needs.cpus).toBe(4);
    budget.reserve({ needs: { memoryBytes: 2 * GIB, diskBytes: 0, cpus: 0 } });
    const giveUp = new AbortController();
    const waiting = room.resize({ ...SMALL, memoryBytes: 4 * GIB }, giveUp.signal);
    giveUp.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
    expect(budget.reserve({ needs: SMALL })).toBeDefined();
  });

  it('tells a full disk from one that is too small', async () => {
    const budget = open({ freeDiskBytes: () => 2 * GIB });
    const reservation = budget.reserve({ needs: SMALL });
    if (reservation === undefined) throw new Error('no room');
    const room = toRoom(budget, reservation, clock);
    for (const [diskBytes, isForNow] of [
      [30 * GIB, true],
      [50 * GIB, false],
    ] as const) {
      await expect(room.resize({ ...SMALL, diskBytes }, never)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_HOST_EXHAUSTED',
        details: { resource: 'disk', isForNow },
      });
    }
  });

  it("counts a dead worker's share until its tasks are gone", async () => {
    let hasTasks = true;
    const dead = startFixture(FIXTURE, [folder, String(3 * GIB)]);
    await waitForLine(dead, 'reserved');
    const [file = ''] = readdirSync(folder);
    dead.kill('SIGKILL');
    await once(dead, 'exit');
    const pids: number[] = [];
    const budget = open({
      hasTasks(pid) {
        pids.push(pid);
        return Promise.resolve(hasTasks);
      },
    });
    expect(budget.reserve({ needs: twice })).toBeUndefined();
    await waitUntil(() => pids.length > 0);
    expect(pids[0]).toBe(dead.pid);
    expect(budget.reserve({ needs: twice })).toBeUndefined();
    hasTasks = false;
    await waitUntil(() => budget.reserve({ needs: twice }));
    await waitUntil(() => !existsSync(`${folder}/${file}`));
  });

  it('gives nothing away on the strength of a share that was cut off', async () => {
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'stackshim-test', folder]);
    try {
      const failures: unknown[] = [];
      const onFailure = (error: unknown) => failures.push(error);
      const [one, other] = [open({ jobs: 1_000, onFailure }), open({ jobs: 1_000 })];
      const reservations: unknown[] = [];
      const tenantOf = (n: number) => `${'t'.repeat(60)}${n}` as TenantName;
      for (let n = 0; n < 200; n += 1) {
        reservations.push(one.reserve({ needs: SMALL, tenant: tenantOf(n) }));
      }
      const granted = reservations.filter((reservation) => reservation !== undefined).length;
      expect(granted).toBeGreaterThan(10);
      expect(granted).toBeLessThan(200);
      expect(failures).toEqual([expect.objectContaining({ code: 'ENOSPC' })]);
      expect(one.reserved().memoryBytes).toBe(granted * GIB);
      await waitUntil(() => other.room().memoryBytes === (1_000 - granted) * GIB);
    } finally {
      for (const budget of budgets) budget.close();
      execFileSync('umount', [folder]);
    }
  });

  it('ignores files of an earlier boot, and files that it cannot read', async () => {
    const share = { reserved: { ...SMALL, memoryBytes: 4 * GIB }, claims: [], tenants: {} };
    const older = JSON.stringify({ version: 1, bootId: 'older', ...share });
    const newer = JSON.stringify({ version: 2, bootId: bootId(), ...share });
    mkdirSync(folder);
    const torn = JSON.stringify({ version: 1, bootId: bootId(), ...share });
    for (const text of [
      `${older}\n${older}\n`,
      `${newer}\n${newer}\n`,
      `${torn}\n${torn.slice(9)}`,
      '',
    ])
      writeFileSync(`${folder}/1-${randomName()}`, text);
    const budget = open();
    expect(budget.reserve({ needs: twice })).toBeDefined();
    await waitUntil(() => readdirSync(folder).length === 1);
  });

  it('is never exceeded by two workers that reserve at the same time', async () => {
    const outputs = await Promise.all([1, 2].map(() => runFixture(FIXTURE, [folder, 'race'])));
    const results = outputs.map((output) => JSON.parse(output));
    expect(results.map(({ over }) => over)).toEqual([0, 0]);
    expect(results.some(({ taken }) => taken > 0)).toBe(true);
  });
});
