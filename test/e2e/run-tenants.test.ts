/** Tenants, slots and reserves of the policy, with real tasks. Requires: root, cgroups. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { tenantCgroup } from '../../src/cgroup/cgroup-names.ts';
import { hierarchiesOf, openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTenantName } from '../../src/core/ids.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, setPolicy } = useTaskRunner();
const { env, layout } = installation;
const cgroups = openCgroupDriver();
const MIB = 1024 * 1024;
const WAITING = ['sh', '-c', 'echo ready; exec sleep 600'];

const groupOf = (tenant: string) => tenantCgroup(layout, parseTenantName(tenant));
const existing = (tenant: string) => cgroups.existing(groupOf(tenant));

function readGroupFile(tenant: string, controller: string, files: { v1: string; v2: string }) {
  const hierarchy = hierarchiesOf(readMounts()).find((one) => one.controllers.includes(controller));
  const [root, file] =
    cgroups.version === 2 ? ['/sys/fs/cgroup', files.v2] : [hierarchy?.mountPoint, files.v1];
  return readFileSync(`${root}${groupOf(tenant)}/${file}`, 'utf8').trim();
}

afterEach(() => setPolicy(null));

describe('a tenant', () => {
  it('has a cgroup with its weight and cap while it has tasks; ps shows the tenant of a task', async () => {
    setPolicy({ tenants: { acme: { weight: 300, cpus: 1.5, memory: '96m' } } });
    const task = start(['--name', 'one', '--tenant', 'acme', '-m', '64m'], WAITING);
    await task.printed('ready');
    const weight = readGroupFile('acme', 'cpu', { v1: 'cpu.shares', v2: 'cpu.weight' });
    expect(weight).toBe(cgroups.version === 2 ? '300' : '3072');
    const cpus = readGroupFile('acme', 'cpu', { v1: 'cpu.cfs_quota_us', v2: 'cpu.max' });
    expect(cpus).toMatch(/^150000( 100000)?$/);
    const memory = { v1: 'memory.limit_in_bytes', v2: 'memory.max' };
    expect(readGroupFile('acme', 'memory', memory)).toBe(String(96 * MIB));
    const { stdout } = await runCli(['ps', '--json'], { env });
    expect(JSON.parse(stdout).tasks).toMatchObject([
      { id: 'one', tenant: 'acme', state: 'running' },
    ]);
    task.child.kill('SIGTERM');
    expect((await task.ended).record).toMatchObject(CLEAN);
    expect(existing('acme')).toEqual([]);
  });

  it('has one cap for all of its tasks together', async () => {
    setPolicy({ tenants: { acme: { memory: '64m' } } });
    const fill = 'dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null || exit 9';
    const options = ['--tenant', 'acme', '-m', '64m'];
    const first = start(options, ['sh', '-c', `${fill}; echo ready; exec sleep 600`]);
    await first.printed('ready');
    const second = await run(options, ['sh', '-c', fill]);
    // The kernel chose one of the two to kill.
    first.child.kill('SIGTERM');
    const ends = [second.record?.verdict, (await first.ended).record?.verdict];
    expect(ends).toContain('oom_killed');
    const alone = await run(options, ['sh', '-c', fill]);
    expect(alone.record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });

  it('has as many tasks at once as the policy allows; the next task is refused', async () => {
    setPolicy({ tenantDefault: { maxTasks: 1 } });
    const task = start(['--tenant', 'acme'], WAITING);
    await task.printed('ready');
    const { status, stderr, record } = await run(['--tenant', 'acme'], ['true']);
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_TENANT_EXHAUSTED]');
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code: 'ERR_STACKSHIM_TENANT_EXHAUSTED', kind: 'exhausted' },
    });
    expect((await run(['--tenant', 'other'], ['true'])).status).toBe(0);
    expect((await run([], ['true'])).status).toBe(0);
    task.child.kill('SIGTERM');
    await task.ended;
    expect((await run(['--tenant', 'acme'], ['true'])).status).toBe(0);
  });

  it('includes tasks of a dead owner in its count until they are reaped', async () => {
    setPolicy({ tenantDefault: { maxTasks: 1 } });
    const task = start(['--name', 'left', '--tenant', 'acme'], WAITING);
    await task.printed('ready');
    task.child.kill('SIGKILL');
    await task.ended;
    expect((await run(['--tenant', 'acme'], ['true'])).status).toBe(125);
    const { stdout } = await runCli(['reap', '--json'], { env });
    expect(JSON.parse(stdout).reaped).toEqual([{ id: 'left', removed: true, leftovers: [] }]);
    expect(existing('acme')).toEqual([]);
    expect((await run(['--tenant', 'acme'], ['true'])).status).toBe(0);
  });

  it('has its task found and removed even if the record cannot be read', async () => {
    const task = start(['--name', 'lost', '--tenant', 'acme'], WAITING);
    await task.printed('ready');
    task.child.kill('SIGKILL');
    await task.ended;
    writeFileSync(`${layout.run}/tasks/lost/record.json`, '{');
    const killed = await runCli(['kill', 'lost'], { env });
    expect(killed).toMatchObject({ status: 0, stdout: 'lost\n' });
    expect(existing('acme')).toEqual([]);
  });

  it('cannot be given more for one task than for all tasks', async () => {
    setPolicy({ tenants: { acme: { memory: '64m' } } });
    const { status, stderr } = await run(['--tenant', 'acme', '-m', '65m'], ['true']);
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_DENIED]');
  });

  it('is refused new tasks while its running tasks use more than its cap', async () => {
    setPolicy({ tenants: { acme: { cpus: 2 } } });
    const task = start(['--tenant', 'acme', '--cpus', '2'], WAITING);
    await task.printed('ready');
    setPolicy({ tenants: { acme: { cpus: 0.5 } } });
    const { status, record } = await run(['--tenant', 'acme'], ['true']);
    if (cgroups.version === 1) {
      expect(status).toBe(125);
      expect(record?.error?.code).toBe('ERR_STACKSHIM_TENANT_EXHAUSTED');
    } else {
      expect(status).toBe(0);
    }
    task.child.kill('SIGTERM');
    await task.ended;
    expect((await run(['--tenant', 'acme'], ['true'])).status).toBe(0);
  });
});

describe('two tenants', () => {
  it('share processors by weight, however many tasks and processes each of them has', async () => {
    setPolicy({ tenants: { much: { weight: 800 }, little: { weight: 100 } } });
    const spin = 'echo ready; for i in 1 2 3 4; do (while :; do :; done) & done; wait';
    const tasks = ['much', 'little', 'little'].map((tenant, i) =>
      start(['--name', `${tenant}-${i}`, '--tenant', tenant, '--cpus', '2'], ['sh', '-c', spin]),
    );
    try {
      await Promise.all(tasks.map((task) => task.printed('ready')));
      const used = () =>
        ['much', 'little'].map((tenant) => cgroups.readCpuMs(groupOf(tenant)) ?? 0);
      // The kernel takes a while to distribute so many processes; with one on each processor, both tenants would get the same.
      let before = used();
      await waitUntil(() => {
        const now = used();
        const [much = 0, little = 0] = now.map((ms, i) => ms - (before[i] ?? 0));
        if (much + little < 400) return false;
        before = now;
        // 8 in theory; equal shares would give 0.5, because the other side has twice as many tasks.
        return much / little > 2;
      });
    } finally {
      for (const task of tasks) task.child.kill('SIGTERM');
      for (const task of tasks) expect((await task.ended).record).toMatchObject(CLEAN);
    }
  });
});

describe('the machine', () => {
  it('has no slot if the policy allows none', async () => {
    setPolicy({ slots: 0 });
    const { status, record } = await run([], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code: 'ERR_STACKSHIM_SLOTS_EXHAUSTED' },
    });
  });

  it.each([
    ['memory', { memory: '1000t' }],
    ['disk', { disk: '1000t' }],
  ])('accepts no task that leaves less %s than the policy reserves', async (resource, reserves) => {
    setPolicy({ reserves });
    const { status, record } = await run([], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code: 'ERR_STACKSHIM_HOST_EXHAUSTED', kind: 'exhausted', details: { resource } },
    });
  });

  it('accepts a task that leaves enough', async () => {
    setPolicy({ reserves: { memory: '1m', disk: '1m' } });
    expect((await run(['-m', '16m'], ['true'])).status).toBe(0);
  });
});

describe('a task can have the name of a file', () => {
  async function expectTaskOf(id: string): Promise<void> {
    const { status, record } = await run(['--name', id, '--tenant', id], ['true']);
    expect(status).toBe(0);
    expect(record).toMatchObject({ ...CLEAN, id, verdict: 'succeeded' });
  }

  const ofVersion1 = ['tasks', 'cgroup.procs', 'memory.limit_in_bytes'];
  it.each(ofVersion1)('of cgroup v1: %s', { tags: ['gvisor/cgroup-names'] }, expectTaskOf);

  it.each(['cgroup.kill', 'cpu.max'])('of cgroup v2: %s', expectTaskOf);
});
