/** `--disk`: what a task may write, enforced by a scratch volume, or by samples only if the policy says so. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { describeDiskCases, expectNamesRemoved } from './support/disk-cases.ts';

const runner = useTaskRunner();
const { run, start, installation, setPolicy } = runner;
const { layout, env } = installation;

const scratch = `${layout.root}/scratch`;
const idle = () => readdirSync(scratch).filter((name) => name.startsWith('.idle-'));
const inodesOfIdle = () => idle().map((name) => statSync(`${scratch}/${name}`).ino);
const mountsBelow = (folder: string) =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(folder));

/** Used even where a project quota would be possible. */
const VOLUME = { disk: { mechanism: 'volume' } };

describe('a scratch volume', () => {
  beforeAll(() => setPolicy(VOLUME));
  afterAll(() => setPolicy(null));

  describeDiskCases(runner);

  it('is reused by the next task, which finds no files of the last one', async () => {
    await run([], sh('echo secret > /mine; mkdir -p /a/b; echo secret > /a/b/c'));
    const before = inodesOfIdle();
    expect(before.length).toBeGreaterThan(0);
    const script = 'ls / /a 2>&1 | grep -c -e mine -e "^a$"; df -k / | tail -1';
    const { stdout } = await run([], sh(script));
    const [found, usage = ''] = stdout.trim().split('\n');
    expect(found).toBe('0');
    // Half a megabyte at most, for the overlay itself.
    expect(Number(usage.trim().split(/\s+/)[2])).toBeLessThan(512);
    expect(before.some((inode) => inodesOfIdle().includes(inode))).toBe(true);
  });

  it('is not reused when it was full or has an unusual size', async () => {
    const before = inodesOfIdle();
    await run(['--disk', '64m'], ['true']);
    await run([], sh('dd if=/dev/zero of=/x bs=1M count=100 2>/dev/null'));
    expect(inodesOfIdle().filter((inode) => !before.includes(inode))).toEqual([]);
    expect(loopsOfTasks()).toEqual([]);
  });

  it('is mounted nowhere on the host while the task runs', async () => {
    const task = start(['--name', 'running'], sh('echo up; sleep 600'));
    await task.printed('up');
    expect(mountsBelow(`${layout.root}/scratch`)).toEqual([]);
    expect(existsSync(`${layout.root}/scratch/.volume-running`)).toBe(true);
    expect(loopsOfTasks()).toHaveLength(1);
    const killed = await runCli(['kill', 'running'], { env });
    expect(killed.status).toBe(0);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
  });

  it('of a kept task stays mounted for inspection until the task is removed', async () => {
    await run(['--name', 'kept', '--keep', '--disk', '32m'], sh('echo here > /made'));
    const made = `${layout.root}/scratch/kept/rootfs/upper/made`;
    expect(readFileSync(made, 'utf8')).toBe('here\n');
    expect((await runCli(['kill', 'kept'], { env })).status).toBe(0);
    expect(mountsBelow(`${layout.root}/scratch`)).toEqual([]);
    expect(loopsOfTasks()).toEqual([]);
  });

  it('limits root of the host as well', async () => {
    const { record } = await run(['--userns', 'host', '--disk', '8m'], sh('cat /dev/zero > /x'));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', exitCode: 1 });
  });

  it('that no task uses is freed by gc', async () => {
    await run([], ['true']);
    expect(idle().length).toBeGreaterThan(0);
    const { stdout } = await runCli(['gc', '--json'], { env });
    expect(JSON.parse(stdout).volumes).toBeGreaterThan(0);
    expect(idle()).toEqual([]);
    expect(mountsBelow(layout.run).filter((point) => point.includes('/volumes/'))).toEqual([]);
  });
});

describe('a limit that is impossible', () => {
  it.each([
    ['1k', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['9t', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['8t', 'ERR_STACKSHIM_SPEC_DENIED'],
  ])('%s is refused', async (size, code) => {
    const { status, stderr, record } = await run(['--disk', size], ['true']);
    expect({ status, record }).toEqual({ status: 125, record: undefined });
    expect(stderr).toContain(code);
  });

  it('above the policy’s maximum is denied; without a limit the policy’s default holds', async () => {
    setPolicy({ defaults: { disk: '2m' }, maxima: { disk: '4m' } });
    try {
      expect((await run(['--disk', '5m'], ['true'])).stderr).toContain('SPEC_DENIED');
      const { record } = await run([], sh('cat /dev/zero > /x'));
      expect(record?.verdict).toBe('disk_full');
      expect(record?.usage.diskPeakBytes).toBeLessThan(3 * 1024 * 1024);
    } finally {
      setPolicy(null);
    }
  });
});

describe('a host without', () => {
  /** Runs in its own mount namespace, where a file is replaced. */
  const without = (path: string) => [
    'unshare',
    '-m',
    'sh',
    '-c',
    `mount --bind /dev/null ${path} && exec "$@"`,
    'sh',
  ];

  it.each([
    ['loop devices', '/dev/loop-control', 'ERR_STACKSHIM_HOST_UNSUPPORTED'],
    [
      'mkfs.ext4',
      execFileSync('which', ['mkfs.ext4'], { encoding: 'utf8' }).trim(),
      'ERR_STACKSHIM_TOOL_MISSING',
    ],
  ])('%s does not run the task, and says what to do', async (_, path, code) => {
    const options = { through: without(path) };
    setPolicy(VOLUME);
    const { status, record } = await run(['--disk', '3m'], ['true'], options);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code },
    });
    setPolicy({ disk: { mechanism: 'sampling' } });
    try {
      expect((await run(['--disk', '3m'], ['true'], options)).status).toBe(0);
    } finally {
      setPolicy(null);
    }
  });
});

describe('sampling without another mechanism', () => {
  it('ends a task that it finds above its limit', async () => {
    setPolicy({ disk: { mechanism: 'sampling' } });
    try {
      const script = 'dd if=/dev/zero of=/x bs=1M count=20 2>/dev/null; echo on; sleep 600';
      const { status, record } = await run(['--disk', '8m'], sh(script));
      expect(status).toBe(137);
      expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', signal: 'SIGKILL' });
      expect(record?.usage.diskPeakBytes).toBeGreaterThan(8 * 1024 * 1024);
      const fine = await run(['--disk', '8m'], sh('echo x > /x'));
      expect(fine.record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    } finally {
      setPolicy(null);
    }
  });

  it('counts and removes files whose names are not valid UTF-8, and no others', async () => {
    setPolicy({ disk: { mechanism: 'sampling' } });
    try {
      await expectNamesRemoved(runner);
    } finally {
      setPolicy(null);
    }
  });
});

/** The names of the files behind this installation's loop devices, without idle volumes. */
function loopsOfTasks(): readonly string[] {
  const list = execFileSync('losetup', ['-l', '-n', '-O', 'BACK-FILE'], { encoding: 'utf8' });
  const waiting = inodesOfIdle().map((inode) => `${scratch}/.loop-${inode}`);
  const files = list.split('\n').flatMap((line) => line.trim().split(' ', 1));
  return files.filter((file) => file.startsWith(scratch) && !waiting.includes(file));
}
