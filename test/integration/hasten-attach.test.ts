/** A process that hastens the runtime's cgroup move stays in its cgroups, with all of its threads. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hastenAttach } from '../../src/cgroup/hasten-attach.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const isUnified = openCgroupDriver().version === 2;
const root = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/freezer';
const threadsFile = isUnified ? 'cgroup.threads' : 'tasks';
const group = `${root}/stackshim-test-${randomBytes(4).toString('hex')}`;
const aside = `${group}/aside`;
let child: ChildProcess | undefined;

beforeEach(() => {
  mkdirSync(aside, { recursive: true });
  if (isUnified) writeFileSync(`${aside}/cgroup.type`, 'threaded');
});

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await waitUntil(() => threadsIn(group).length === 0 && threadsIn(aside).length === 0);
  rmdirSync(aside);
  rmdirSync(group);
});

const threadsIn = (cgroup: string) =>
  readFileSync(`${cgroup}/${threadsFile}`, 'utf8').split('\n').filter(Boolean).map(Number).sort();

const cgroupsOf = (process: string) => readFileSync(`/proc/${process}/cgroup`, 'utf8');

test('the kernel accepts it, and the process stays in its cgroups', async () => {
  const before = cgroupsOf('self');
  const first = hastenAttach();
  // Shortly after the first call there is nothing to hasten.
  expect(await hastenAttach()).toBe(false);
  expect(await first).toBe(true);
  expect(cgroupsOf('self')).toBe(before);
});

test('a thread that has a cgroup of its own stays there', async () => {
  child = startFixture(new URL('../fixtures/hasten-attach.ts', import.meta.url), []);
  await waitForLine(child, 'ready');
  const { pid } = child;
  if (pid === undefined) throw new Error('no child');
  writeFileSync(`${group}/cgroup.procs`, String(pid));
  const other = readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .find((tid) => tid !== pid);
  writeFileSync(`${aside}/${threadsFile}`, String(other));
  expect(threadsIn(aside)).toEqual([other]);
  process.kill(pid, 'SIGUSR2');
  await waitForLine(child, 'taken: true');
  expect(threadsIn(aside)).toEqual([other]);
  expect(threadsIn(group)).toContain(pid);
});
