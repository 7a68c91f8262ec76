/** The guest differs from the host (only cgroup v2, project quotas, systemd), and tasks run on it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { runCli } from '../support/cli/run-cli.ts';

const options = { env: {} };

it('the guest has only cgroup v2, with every controller that limits need', () => {
  const cgroups = readMounts().filter(({ filesystem }) => filesystem.startsWith('cgroup'));
  expect(cgroups.map(({ filesystem, mountPoint }) => [filesystem, mountPoint])).toEqual([
    ['cgroup2', '/sys/fs/cgroup'],
  ]);
  const driver = openCgroupDriver();
  expect(driver.version).toBe(2);
  expect(driver.controllers).toEqual(expect.arrayContaining(['cpu', 'io', 'memory', 'pids']));
});

it('the root folder is on ext4 with project quotas, and systemd runs', () => {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  expect(mounts.find((line) => line.includes(' /var/lib/stackshim '))).toMatch(/ ext4 \S*prjquota/);
  expect(readFileSync('/proc/1/comm', 'utf8')).toBe('systemd\n');
});

it('doctor finds that tasks can run', async () => {
  const { status, stdout } = await runCli(['doctor'], options);
  expect(status, stdout).toBe(0);
  expect(stdout).toMatch(/^ok +cgroup controllers +cgroup v2 /m);
});

it('a cgroup v2 counts everything that a task uses', async () => {
  // Two processes that need the processor at the same time, limited to less than they would use.
  const count = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done';
  const write = 'dd if=/dev/zero of=/f bs=1M count=4 oflag=direct; cat /f > /dev/null';
  const script = `(${count}) & ${count}; wait; ${write}`;
  const args = ['run', '--json', '--cpus', '0.3', 'python-3.13', '--', 'sh', '-c', script];
  const { status, stdout, stderr } = await runCli(args, options);
  expect(status, stderr).toBe(0);
  const { usage } = JSON.parse(stdout);
  expect(usage.cpuUserMs + usage.cpuSystemMs).toBeGreaterThan(0);
  expect(usage.cpuThrottledMs).toBeGreaterThan(0);
  expect(usage.cpuPressureMs).toBeGreaterThan(0);
  expect(usage.memoryPeakBytes).toBeGreaterThan(4 * 1024 * 1024);
  expect(usage.pidsPeak).toBeGreaterThanOrEqual(2);
  expect(usage.ioWriteBytes).toBeGreaterThanOrEqual(4 * 1024 * 1024);
  expect(usage).toMatchObject({
    oomKills: 0,
    oomGroupKills: 0,
    ioReadBytes: expect.any(Number),
    ioPressureMs: expect.any(Number),
    memoryPressureMs: expect.any(Number),
  });
});

it('tasks of a service that is protected from out-of-memory kills are not protected', async () => {
  expect(Number(readFileSync('/proc/self/oom_score_adj', 'utf8'))).toBeLessThan(0);
  const args = ['run', 'python-3.13', '--', 'cat', '/proc/self/oom_score_adj'];
  expect(await runCli(args, options)).toMatchObject({ status: 0, stdout: '0\n' });
});
