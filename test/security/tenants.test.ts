/**
 * A tenant has no more concurrent tasks than the policy allows and uses no more than its cap, whoever starts them or dies; its cgroup
 * is created with the first task and removed with the last, even if these coincide. Requires: root, cgroups.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  cgroupParent,
  findTenant,
  taskCgroup,
  tenantCgroup,
} from '../../src/cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTaskId, parseTenantName } from '../../src/core/ids.ts';
import { type Layout, tenantDir } from '../../src/core/layout.ts';
import type { TenantTerms } from '../../src/spec/task-spec.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { bootId } from '../../src/sys/processes.ts';
import { joinTenant, removeIdleTenants } from '../../src/task/admission/join-tenant.ts';
import { claimTaskNumber } from '../../src/task/admission/slot.ts';
import { layoutBelow } from '../support/installation/test-layout.ts';

const cgroups = openCgroupDriver();
const acme = parseTenantName('acme');
const exhausted = expect.objectContaining({
  code: 'ERR_STACKSHIM_TENANT_EXHAUSTED',
  kind: 'exhausted',
});

let folder: string;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-tenants-`);
  layout = layoutBelow(folder);
});

afterEach(async () => {
  expect(cgroups.existing(tenantCgroup(layout, acme))).toEqual([]);
  await cgroups.remove(cgroupParent(layout));
  expect(cgroups.existing(cgroupParent(layout))).toEqual([]);
  rmSync(folder, { recursive: true });
});

const host = () => ({ system: linuxSystem, layout, cgroups });
const join = (terms: Partial<TenantTerms> = {}, task = 'one') =>
  joinTenant(host(), {
    tenant: acme,
    terms: { weight: 100, ...terms },
    task: parseTaskId(task),
  });
const groupExists = () => cgroups.existing(tenantCgroup(layout, acme)).length > 0;

/** A number that names a task whose owner is dead. */
function leaveNumber(number: number, task: string, boot = bootId()): void {
  mkdirSync(tenantDir(layout, acme), { recursive: true });
  mkdirSync(`${layout.run}/tasks/${task}`, { recursive: true });
  writeFileSync(`${tenantDir(layout, acme)}/lock`, '');
  writeFileSync(`${tenantDir(layout, acme)}/${number}`, `${boot}\n${task}\n${layout.run}\n`);
}

describe('the cgroup of a tenant', () => {
  it('is created with the first task and removed with the last', async () => {
    const [one, two] = [await join(), await join()];
    expect(groupExists()).toBe(true);
    await one.release();
    await one.release();
    expect(groupExists()).toBe(true);
    await two.release();
    expect(groupExists()).toBe(false);
    expect(existsSync(tenantDir(layout, acme))).toBe(false);
  });

  it('is not removed under a task that starts while the last one ends', async () => {
    for (let round = 0; round < 50; round += 1) {
      const last = await join();
      const coming = join();
      await last.release();
      const next = await coming;
      expect(groupExists()).toBe(true);
      await next.release();
    }
    expect(groupExists()).toBe(false);
  });

  it('stays while another process has a task of the tenant', async () => {
    const ours = await join();
    const lock = `${tenantDir(layout, acme)}/lock`;
    const other = spawn('flock', ['--shared', lock, 'sh', '-c', 'echo ready; read -r _'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    await ours.release();
    expect(groupExists()).toBe(true);
    await removeIdleTenants(host());
    expect(groupExists()).toBe(true);
    other.stdin.end();
    await once(other, 'exit');
    await removeIdleTenants(host());
    expect(groupExists()).toBe(false);
    expect(existsSync(tenantDir(layout, acme))).toBe(false);
  });

  it('is waited for while another process removes it, but only as long as the task is wanted', async () => {
    mkdirSync(tenantDir(layout, acme), { recursive: true });
    const lock = `${tenantDir(layout, acme)}/lock`;
    const other = spawn('flock', ['--exclusive', lock, 'sh', '-c', 'echo ready; read -r _'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(other, 'exit');
    await once(other.stdout, 'data');
    const cancel = new AbortController();
    const unwanted = joinTenant(host(), {
      tenant: acme,
      terms: { weight: 100 },
      task: parseTaskId('one'),
      signal: cancel.signal,
    });
    cancel.abort();
    await expect(unwanted).rejects.toMatchObject({ name: 'AbortError' });
    const coming = join();
    other.stdin.end();
    await (await coming).release();
    await ended;
    expect(groupExists()).toBe(false);
  });

  it('stays while a task of a dead owner is in it', async () => {
    const task = parseTaskId('left');
    const seat = await join();
    const inside = taskCgroup(layout, task, acme);
    await cgroups.shareGroup(inside, { weight: 100, cpus: null, memoryBytes: null });
    await seat.release();
    expect(groupExists()).toBe(true);
    expect(findTenant(cgroups, layout, task)).toBe(acme);
    expect(findTenant(cgroups, layout, parseTaskId('other'))).toBeUndefined();
    expect(await cgroups.remove(inside)).toEqual([]);
    await removeIdleTenants(host());
    expect(groupExists()).toBe(false);
  });

  it('belongs to the tenant only: no task’s id is a path to it', () => {
    const names = ['tenant-acme', 'acme', 'task-acme'].map((id) =>
      taskCgroup(layout, parseTaskId(id)),
    );
    expect(names).not.toContain(tenantCgroup(layout, acme));
    expect(() => parseTenantName('_acme')).toThrow();
    expect(() => parseTenantName('a/b')).toThrow();
    expect(() => parseTenantName('..')).toThrow();
  });
});

describe('the maximum of tasks', () => {
  it('is enforced, and a task that ends frees its place', async () => {
    const seats = await Promise.all([join({ maxTasks: 2 }), join({ maxTasks: 2 })]);
    await expect(join({ maxTasks: 2 })).rejects.toEqual(exhausted);
    expect(groupExists()).toBe(true);
    await seats[0]?.release();
    const again = await join({ maxTasks: 2 });
    for (const seat of [...seats, again]) await seat.release();
  });

  it('of 0 refuses every task, and leaves nothing', async () => {
    await expect(join({ maxTasks: 0 })).rejects.toEqual(exhausted);
    expect(existsSync(tenantDir(layout, acme))).toBe(false);
  });

  it('counts a task of a dead owner until the task is removed', async () => {
    leaveNumber(0, 'left');
    await expect(join({ maxTasks: 1 })).rejects.toEqual(exhausted);
    await removeIdleTenants(host());
    await expect(join({ maxTasks: 1 })).rejects.toEqual(exhausted);
    rmSync(`${layout.run}/tasks/left`, { recursive: true });
    const seat = await join({ maxTasks: 1 });
    await seat.release();
  });

  it('does not count tasks from before the reboot', async () => {
    leaveNumber(0, 'left', 'another-boot');
    const seat = await join({ maxTasks: 1 });
    await seat.release();
    expect(existsSync(tenantDir(layout, acme))).toBe(false);
  });
});

describe('slot numbers', () => {
  const claim = (count: number) =>
    claimTaskNumber(linuxSystem, {
      folder: `${folder}/numbers`,
      count,
      run: layout.run,
      task: parseTaskId('one'),
    });

  it.each([1, 16, 17, 64, 65, 700])(
    'of all %i slots can be held at once, each by one holder',
    (count) => {
      mkdirSync(`${folder}/numbers`);
      const held = Array.from({ length: count }, () => claim(count));
      const numbers = held.map((one) => one?.number).sort((a = 0, b = 0) => a - b);
      expect(numbers).toEqual(Array.from({ length: count }, (_, number) => number));
      expect(claim(count)).toBeUndefined();
      held[count - 1]?.release();
      expect(claim(count)?.number).toBe(held[count - 1]?.number);
      for (const one of held) one?.release();
      expect(readdirSync(`${folder}/numbers`)).toHaveLength(count);
    },
  );

  it('of one process are the lowest that are free', () => {
    mkdirSync(`${folder}/numbers`);
    const held = Array.from({ length: 300 }, () => claim(4096));
    expect(held.map((one) => one?.number)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    held[7]?.release();
    const again = claim(4096);
    expect(again?.number).toBe(7);
    for (const one of [...held, again]) one?.release();
  });

  it('are low even beside those of other processes', () => {
    mkdirSync(`${folder}/numbers`);
    mkdirSync(`${layout.run}/tasks/other`, { recursive: true });
    for (let number = 0; number < 100; number += 1) {
      writeFileSync(`${folder}/numbers/${number}`, `${bootId()}\nother\n${layout.run}\n`);
    }
    const ours = Array.from({ length: 20 }, () => claim(4096));
    // By chance alone one would be higher once in a million runs of this test.
    for (const one of ours) expect(one?.number).toBeLessThan(1024);
    expect(ours.every((one) => (one?.number ?? 0) >= 100)).toBe(true);
    for (const one of ours) one?.release();
  });
});
