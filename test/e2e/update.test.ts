/** `stackshim update`: new limits of running tasks, as the kernel and the owner enforce them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fillDisk } from '../chaos/support/small-disk.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { installation, folder: runnerFolder, start, setPolicy } = useTaskRunner();
const { env } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });
const update = (...args: readonly string[]) => cli('update', ...args);
const MIB = 1024 * 1024;
const WAITING = sh('echo ready; exec sleep 1000');

afterEach(() => setPolicy(null));

async function started(id: string, options: readonly string[] = [], command = WAITING) {
  const task = start(['--name', id, ...options], command);
  await task.printed('ready');
  return task;
}

async function statsOf(id: string) {
  const { stdout } = await cli('stats', '--no-stream', '--json', id);
  return JSON.parse(stdout).tasks[0];
}

async function end(task: Awaited<ReturnType<typeof started>>, id: string): Promise<void> {
  await cli('kill', id);
  await task.ended;
}

describe('a new limit', () => {
  it('holds for memory and processes, and is told', async () => {
    const task = await started('one', ['-m', '64m', '--pids-limit', '50', '--cpus', '0.5']);
    const { status, stdout, stderr } = await update(
      '-m',
      '96m',
      '--pids-limit',
      '20',
      '--cpus',
      '1',
      'one',
    );
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'one\n', stderr: '' });
    expect(await statsOf('one')).toMatchObject({ memoryLimitBytes: 96 * MIB, pidsLimit: 20 });
    const json = await update('-m', '32m', '--json', 'one');
    expect(JSON.parse(json.stdout)).toEqual({
      id: 'one',
      limits: { memoryBytes: 32 * MIB },
      notes: [],
    });
    expect(await statsOf('one')).toMatchObject({ memoryLimitBytes: 32 * MIB, pidsLimit: 20 });
    await end(task, 'one');
  });

  it('of memory ends a task that uses more afterwards', async () => {
    const fill = sh('echo ready; sleep 1; dd if=/dev/zero of=/dev/null bs=48M count=1; true');
    const large = await started('large', ['-m', '16m'], fill);
    expect((await update('-m', '128m', 'large')).status).toBe(0);
    const small = await started('small', ['-m', '128m'], fill);
    expect((await update('-m', '16m', 'small')).status).toBe(0);
    expect((await large.ended).record?.usage.oomKills).toBe(0);
    const { record } = await small.ended;
    expect(record?.usage.oomKills).toBeGreaterThan(0);
  });

  it('of memory below what the task holds is refused, and the old one stays', async () => {
    const hold = 'x=$(head -c 30000000 /dev/zero | tr "\\0" x); echo ready; sleep 1000; true';
    const task = await started('full', ['-m', '128m'], sh(hold));
    const { status, stdout, stderr } = await update('-m', '8m', '--pids-limit', '7', 'full');
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
    expect(stderr).toMatch(/memory 8m: the kernel could not free enough of its .*its limit stays/);
    const after = await statsOf('full');
    expect(after).toMatchObject({ memoryLimitBytes: 128 * MIB, oomKills: 0 });
    expect(after.pidsLimit).not.toBe(7);
    await end(task, 'full');
  });

  it('of processes below their number lets them run on', async () => {
    const fork = 'sleep 1000 & sleep 1000 & sleep 1000 & echo ready; wait';
    const task = await started('many', [], sh(fork));
    const { status, stderr } = await update('--pids-limit', '2', 'many');
    expect(status).toBe(0);
    expect(stderr).toContain(
      'task many: 4 processes and threads run on; the task can start no more',
    );
    expect((await statsOf('many')).pids).toBe(4);
    await end(task, 'many');
  });
});

it('keeps what another update sets at the same time', async () => {
  const task = await started('both', ['--timeout', '1h']);
  for (const round of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const set = [update('--timeout', `${round}m`, 'both'), update('--cpus', `0.${round}`, 'both')];
    expect((await Promise.all(set)).map(({ status }) => status)).toEqual([0, 0]);
    const limit = JSON.parse(readFileSync(`${installation.layout.run}/tasks/both/limit`, 'utf8'));
    expect(limit).toMatchObject({ timeoutMs: round * 60_000, cpus: round / 10 });
  }
  await end(task, 'both');
});

it('changes nothing if the disk of the run folder has no room to tell the owner', async () => {
  const { run } = installation.layout;
  const task = await started('full-disk', ['--cpus', '0.5', '-m', '64m']);
  const folder = `${run}/tasks/full-disk`;
  execFileSync('cp', ['-a', `${folder}/.`, join(runnerFolder, 'copy')]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k,mode=700', 'none', folder]);
  try {
    execFileSync('cp', ['-a', `${join(runnerFolder, 'copy')}/.`, folder]);
    fillDisk(folder, 0);
    const { status, stderr } = await update('-m', '96m', 'full-disk');
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('[ERR_STACKSHIM_DISK_FULL]'),
    });
    expect((await statsOf('full-disk')).memoryLimitBytes).toBe(64 * MIB);
    expect(readdirSync(folder).filter((name) => name.endsWith('.next'))).toEqual([]);
  } finally {
    execFileSync('umount', ['-l', folder]);
    await end(task, 'full-disk');
  }
});

describe('a new timeout', () => {
  it('that is shorter ends the task as timed out', async () => {
    const task = await started('short', ['--timeout', '1h']);
    expect((await update('--timeout', '1s', 'short')).status).toBe(0);
    const { status, record, stderr } = await task.ended;
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
    expect(stderr).toMatch(/timed out after [\dms]+ \(its --timeout was changed while it ran\)/);
  });

  it('that is longer holds, also if it is set in the first second', async () => {
    const task = await started('long', ['--timeout', '2s'], sh('echo ready; sleep 4; echo done'));
    expect((await update('--timeout', '1h', 'long')).status).toBe(0);
    const { status, stdout, record } = await task.ended;
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'ready\ndone\n' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });

  it('can be changed several times; the last one counts', async () => {
    const task = await started('last', ['--timeout', '3s']);
    expect((await update('--timeout', '1h', 'last')).status).toBe(0);
    expect((await update('--timeout', '30m', 'last')).status).toBe(0);
    expect((await update('--timeout', '4s', 'last')).status).toBe(0);
    const { record } = await task.ended;
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
    expect(record?.usage.wallMs).toBeGreaterThanOrEqual(3_900);
  });

  it('holds for a paused task', async () => {
    const task = await started('paused', ['--timeout', '1h']);
    expect((await cli('pause', 'paused')).status).toBe(0);
    expect((await update('--timeout', '1s', 'paused')).status).toBe(0);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
  });
});

describe('an update is refused', () => {
  it.each([
    [[], 'no new limit'],
    [['-m', '1k'], 'memory'],
    [['-m', '64x'], 'memory'],
    [['--cpus', '0'], 'cpus'],
    [['--pids-limit', '0'], 'pidsLimit'],
    [['--timeout', '0'], 'timeout'],
    [['--disk', '1g'], "unknown option '--disk'"],
  ])('with %j', async (args, text) => {
    const { status, stderr } = await update(...args, 'missing');
    expect(status).toBe(2);
    expect(stderr).toContain(text);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });

  it('by the policy, the tenant and the host', async () => {
    const maxima = { memory: '128m', cpus: 1, pids: 60, timeout: '10m' };
    setPolicy({ maxima, defaults: { memory: '64m' }, tenants: { acme: { memory: '96m' } } });
    const task = await started('bound', ['--tenant', 'acme']);
    for (const [args, whose] of [
      [['-m', '256m'], "policy's maximum of 128m"],
      [['-m', '100m'], "tenant's 96m"],
      [['--cpus', '1.5'], "policy's maximum of 1"],
      [['--pids-limit', '61'], "policy's maximum of 60"],
      [['--timeout', '11m'], "policy's maximum of 10m"],
    ] as const) {
      const { status, stderr } = await update(...args, 'bound');
      expect(status).toBe(1);
      expect(stderr).toContain(whose);
      expect(stderr).toContain('[ERR_STACKSHIM_SPEC_DENIED]');
    }
    setPolicy(null);
    const { stderr } = await update('--cpus', '4096', 'bound');
    expect(stderr).toContain("host's");
    setPolicy({ reserves: { memory: '8t' } });
    const reserved = await update('-m', '72m', 'bound');
    expect(reserved.stderr).toContain('[ERR_STACKSHIM_HOST_EXHAUSTED]');
    // A smaller limit needs no reserve.
    expect((await update('-m', '48m', 'bound')).status).toBe(0);
    await end(task, 'bound');
  });
});
