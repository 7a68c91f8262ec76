/** runc is started from a copy in huge pages, one for each executable and boot; where there can be none, runc itself is started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { runtimeCopiesDir, runtimesDir, runtimeVersionsDir } from '../../src/core/layout.ts';
import { openStackshim, runTask } from '../../src/door/open-stackshim.ts';
import { callRuntime } from '../../src/runtime/call-runtime.ts';
import { clearStaleCopies } from '../../src/runtime/copy-runtime.ts';
import { resolveRuntime } from '../../src/runtime/resolve-runtime.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { prepareForOthers } from '../../src/task/container-hand-over.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { runTaskAndLeave } from '../../src/task/run-task.ts';
import { collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { layout, options } = useInstallation([/\/lib\/runtimes\//, /\/runtime-copies\/?$/]);
const copies = runtimeCopiesDir(layout);
const own = `${runtimesDir(layout)}/runc`;
let original: string;

const copyMounts = () =>
  readMounts().filter(({ mountPoint }) => mountPoint.startsWith(`${copies}/`));
const run = async (...command: string[]) =>
  await runTask({ stack: 'busybox', command }, { ...options });

beforeEach(async () => {
  original = realpathSync((await resolveRuntime('runc', { layout })).path);
  mkdirSync(runtimesDir(layout), { recursive: true, mode: 0o755 });
});
afterEach(() => {
  for (const { mountPoint } of copyMounts()) linuxSystem.detachMount(mountPoint);
  rmSync(copies, { recursive: true, force: true });
  rmSync(own, { force: true });
});

it('makes one read-only copy, which only root can reach, and starts it', async () => {
  expect((await run('true')).verdict).toBe('succeeded');
  const [copy, ...others] = copyMounts();
  expect(others).toEqual([]);
  expect(copy).toMatchObject({ filesystem: 'tmpfs', mountPoint: expect.stringContaining(copies) });
  expect(statSync(copies).mode & 0o777).toBe(0o700);
  const file = `${copy?.mountPoint}/runtime`;
  expect(readFileSync(file).equals(readFileSync(original))).toBe(true);
  expect(() => writeFileSync(file, '')).toThrow(expect.objectContaining({ code: 'EROFS' }));
  // A program in its place is what the next task starts.
  const log = `${layout.run}/started`;
  writeFileSync(`${layout.run}/wrapper`, `#!/bin/sh\necho $1 >> ${log}\nexec ${original} "$@"\n`, {
    mode: 0o755,
  });
  linuxSystem.bindMount(`${layout.run}/wrapper`, file);
  try {
    expect((await run('true')).verdict).toBe('succeeded');
    expect(readFileSync(log, 'utf8')).toBe('--root\n');
  } finally {
    linuxSystem.detachMount(file);
    rmSync(`${layout.run}/wrapper`);
    rmSync(log, { force: true });
  }
  expect(copyMounts()).toHaveLength(1);
});

it('is no part of the record, which other processes read', async () => {
  const stackshim = openStackshim(options);
  const { result } = await stackshim.start({ stack: 'busybox', command: ['true'], keep: true });
  const { id, verdict } = await result;
  expect({ verdict, copies: copyMounts().length }).toEqual({ verdict: 'succeeded', copies: 1 });
  try {
    expect(readRecord(layout, parseTaskId(id))?.runtime.path).toBe(original);
    expect(await stackshim.list()).toMatchObject({ tasks: [{ id }], corrupt: [] });
  } finally {
    await stackshim.kill(id);
  }
});

it('makes another copy of an executable that was replaced, and gc removes the first', async () => {
  copyFileSync(original, own);
  expect((await run('true')).verdict).toBe('succeeded');
  const first = copyMounts().map(({ mountPoint }) => mountPoint);
  rmSync(own);
  copyFileSync(original, own);
  utimesSync(own, 1_000_000, 1_000_000);
  expect((await run('true')).verdict).toBe('succeeded');
  expect(copyMounts()).toHaveLength(2);
  await collectGarbage(openInstallation(layout));
  const left = copyMounts().map(({ mountPoint }) => mountPoint);
  expect(left).toHaveLength(1);
  expect(first).not.toContain(left[0]);
  expect(readdirSync(copies)).toHaveLength(1);
});

it('starts a script as it is, and tries no second time', async () => {
  writeFileSync(own, `#!/bin/sh\nexec ${original} "$@"\n`, { mode: 0o755 });
  expect((await run('true')).verdict).toBe('succeeded');
  expect((await run('true')).verdict).toBe('succeeded');
  expect(copyMounts()).toEqual([]);
  expect(readdirSync(copies)).toHaveLength(1);
});

it('starts runc itself where no copy can be made', async () => {
  symlinkSync('/nowhere', copies);
  expect((await run('true')).verdict).toBe('succeeded');
  expect(copyMounts()).toEqual([]);
});

it('starts runc itself when gc has removed the copy since the task was planned', async () => {
  const runtime = { ...(await resolveRuntime('runc', { layout })), copy: `${copies}/gone/runtime` };
  expect(await callRuntime(runtime, ['--version'], { operation: 'ask runc' })).toBe(0);
});

it('keeps the copy out of the record, which other processes read', async () => {
  const stackshim = openStackshim(options);
  const task = await stackshim.start({ stack: 'busybox', command: ['sleep', '1000'] });
  expect(copyMounts()).toHaveLength(1);
  expect(await stackshim.list()).toMatchObject({ tasks: [{ id: task.id }], corrupt: [] });
  expect(await stackshim.kill(task.id, { stopTimeout: 0 })).toMatchObject({ removed: true });
  await task.result;
});

it('runs a command in a container that was prepared before there was a copy', async () => {
  symlinkSync('/nowhere', copies);
  const installation = openInstallation(layout);
  const request = { stack: 'busybox' };
  const { signal } = new AbortController();
  const container = await prepareForOthers(installation, request, signal);
  rmSync(copies);
  const input = { ...request, command: ['true'] };
  const ended = await runTaskAndLeave(installation, input, { container });
  expect(copyMounts()).toHaveLength(1);
  expect(ended.result.verdict).toBe('succeeded');
});

it('is removed by one of two gcs, and the other one does not mind', async () => {
  for (let index = 0; index < 3000; index += 1)
    mkdirSync(`${copies}/${index}`, { recursive: true });
  const script = 'rmdir 0 && echo begun && rmdir *';
  const other = spawn('sh', ['-c', script], { cwd: copies, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(other, 'exit');
  await once(other.stdout, 'data');
  clearStaleCopies(copies, runtimeVersionsDir(layout));
  await ended;
  expect(readdirSync(copies)).toEqual([]);
});
