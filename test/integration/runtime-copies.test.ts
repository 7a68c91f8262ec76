/** runc is started from a copy in huge pages, one for each executable and boot; where there can be none, runc itself is started. */
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
import { runtimeCopiesDir, runtimesDir } from '../../src/core/layout.ts';
import { openStackshim, runTask } from '../../src/door/open-stackshim.ts';
import { resolveRuntime } from '../../src/runtime/resolve-runtime.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
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
