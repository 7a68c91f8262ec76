/**
 * The disk after a power cut during imports, flips, builds and tasks: everything that was reported as done exists.
 * Requires: a test VM that was cut off and started again; STACKSHIM_TEST_PROMISED, its output before the cut.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { runCli } from '../support/cli/run-cli.ts';

const promised: Readonly<Record<string, number>> = JSON.parse(
  process.env['STACKSHIM_TEST_PROMISED'] ?? '{}',
);
const root = '/var/lib/stackshim';
const options = { env: {} };

it('the test knows what must be stored', () => {
  expect(promised['grown']).toBeGreaterThan(0);
  expect(promised['generation']).toBeGreaterThan(0);
});

it('nothing of the previous boot exists: no task, no cgroup, no mount', async () => {
  const cgroups = readdirSync('/sys/fs/cgroup').filter((name) => name.startsWith('stackshim'));
  const mounts = readMounts().filter(({ mountPoint }) => mountPoint.startsWith('/run/stackshim/'));
  expect({ cgroups, mounts }).toEqual({ cgroups: [], mounts: [] });
  const { status, stdout } = await runCli(['ps', '--json'], options);
  expect({ status, listed: JSON.parse(stdout) }).toEqual({
    status: 0,
    listed: { tasks: [], corrupt: [] },
  });
});

it('reap removes the writable layers of the previous boot’s tasks; a second reap finds nothing', async () => {
  expect(await runCli(['reap'], options)).toMatchObject({ status: 0 });
  const left = ['scratch', 'volumes'].flatMap((name) =>
    existsSync(`${root}/${name}`) ? readdirSync(`${root}/${name}`) : [],
  );
  expect(left).toEqual([]);
  expect(await runCli(['reap', '--json'], options)).toMatchObject({ status: 0 });
});

it('everything that is stored is sound', async () => {
  const { status, stdout, stderr } = await runCli(['verify'], options);
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/: no damage found\n$/);
});

it('every revision and generation that was completed still exists', async () => {
  const { status, stdout } = await runCli(['stack', 'history', 'grown', '--json'], options);
  expect(status).toBe(0);
  const revisions: readonly { revision: number }[] = JSON.parse(stdout);
  const wanted = Array.from({ length: promised['grown'] ?? 0 }, (_, i) => i + 1);
  expect(revisions.map(({ revision }) => revision)).toEqual(expect.arrayContaining(wanted));
  const current = Number(/\d+/.exec(readlinkSync(`${root}/current`))?.[0]);
  expect(current).toBeGreaterThanOrEqual(promised['generation'] ?? 0);
});

it.each(['busybox', 'grown', `grown@rev:${promised['grown']}`])(
  'a task runs in %s',
  async (stack) => {
    const { status, stdout, stderr } = await runCli(['run', stack, 'echo', 'ran'], options);
    expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: 'ran\n' });
  },
);

it('import, collection and verification work again', async () => {
  expect(await runCli(['gc'], options)).toMatchObject({ status: 0 });
  expect(readdirSync(`${root}/tmp`)).toEqual([]);
  expect(await runCli(['verify'], options)).toMatchObject({ status: 0 });
  expect(
    await runCli(['run', 'python-3.13', '--', 'python3', '-c', 'print(1)'], options),
  ).toMatchObject({ stdout: '1\n' });
});
