/** The disk of the logs is full: a task with a log is refused, or goes on and tells what its log has lost. Requires: root, mkfs.ext4, loop devices. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reportsDir } from '../../src/core/layout.ts';
import { namesIn } from '../../src/sys/files.ts';
import { readEnd } from '../../src/task/reports/report.ts';
import { reportPlaces } from '../../src/task/reports/report-places.ts';
import { DRAFT_BYTES, storeEnd } from '../../src/task/reports/store-end.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { emptyDisk, fillDisk } from './support/small-disk.ts';

const { installation, folder, run } = useTaskRunner();
const { layout, env } = installation;
const go = join(folder, 'go');

const cli = (...args: readonly string[]) => runCli(args, { env });

beforeAll(async () => {
  const image = join(folder, 'disk.ext4');
  execFileSync('truncate', ['-s', '16M', image]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
  execFileSync('mount', ['-o', 'loop', image, layout.root]);
  chmodSync(layout.root, 0o711);
  linkPatchedRunc(layout);
  await installBusyboxStack(layout);
});
afterAll(() => {
  execFileSync('umount', ['-l', layout.root]);
});

it('a task goes on while its log loses output, and its result is stored and tells that', async () => {
  const script =
    'echo before; while ! [ -e /shared/go ]; do sleep 0.1; done; seq 200000; echo last; exit 4';
  const options = ['--name', 'full', '-v', `${folder}:/shared:ro`];
  const started = await cli('run', '-d', ...options, 'busybox', 'sh', '-c', script);
  expect(started).toMatchObject({ status: 0, stdout: 'full\n' });
  await waitUntil(async () => (await cli('logs', 'full')).stdout === 'before\n');
  fillDisk(layout.root, 2);
  writeFileSync(go, '');
  const { status, stdout } = await cli('wait', 'full');
  emptyDisk(layout.root);
  rmSync(go);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '4\n' });
  const [{ state, result }] = JSON.parse((await cli('inspect', 'full')).stdout);
  expect({ state, exitCode: result.exitCode }).toEqual({ state: 'ended', exitCode: 4 });
  const { log, stdoutBytes } = result.output;
  expect(log.lostBytes).toBeGreaterThan(0);
  expect(log.bytes + log.droppedBytes + log.lostBytes).toBe(stdoutBytes);
  expect(log.error.code).toBe('ERR_STACKSHIM_DISK_FULL');
  const kept = (await cli('logs', 'full')).stdout;
  expect(kept.startsWith('before\n')).toBe(true);
  expect(kept.length).toBe(log.bytes);
  await cli('rm', 'full');
});

it.each([
  ['many', 1_000, 100],
  ['long', 50, 4_000],
])('a result with %s names is stored, without most of them', async (_, count, chars) => {
  const dir = join(layout.root, 'report');
  const { draftFile } = reportPlaces(dir);
  mkdirSync(dir);
  writeFileSync(draftFile, ' '.repeat(DRAFT_BYTES));
  const { record } = await run([], ['true']);
  if (record === undefined) throw new Error('no result');
  const leftovers = Array.from({ length: count }, (_each, index) => `${index}`.padEnd(chars, 'x'));
  const end = { at: record.finishedAt, result: { ...record, leftovers }, exit: null };
  fillDisk(layout.root, 0);
  await storeEnd(dir, end);
  emptyDisk(layout.root);
  const stored = readEnd(reportPlaces(dir));
  rmSync(dir, { recursive: true });
  const kept = stored?.result?.leftovers ?? [];
  expect(leftovers.slice(0, kept.length)).toEqual(kept);
  expect(kept.length).toBe(count === 1_000 ? 100 : 1);
  expect(stored).toEqual({ ...end, result: { ...record, leftovers: kept, shortened: true } });
});

it('a task whose log cannot be opened is refused, and nothing of it stays', async () => {
  fillDisk(layout.root, 0);
  for (const how of ['-d', '--log']) {
    const { status, stderr } = await cli('run', how, '--name', 'refused', 'busybox', 'true');
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_DISK_FULL]');
  }
  emptyDisk(layout.root);
  expect(namesIn(reportsDir(layout)).filter((name) => !name.startsWith('.looked'))).toEqual([]);
  expect(readdirSync(`${layout.run}/tasks`)).toEqual([]);
  expect(await cli('run', '--name', 'refused', 'busybox', 'true')).toMatchObject({ status: 0 });
});
