/** Tests of a task's disk limit, whichever mechanism enforces it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sh } from '../../support/cli/shell.ts';
import { CLEAN, type TaskRunner } from '../../support/cli/task-runner.ts';
import { repeated } from '../../support/timing/time-scale.ts';

const MIB = 1024 * 1024;
const FILL = 'dd if=/dev/zero of=/filler bs=64k count=10000 2>/dev/null';

/** The filesystem of the task's files. */
export async function expectNamesRemoved({ run, folder }: TaskRunner): Promise<void> {
  const beside = join(folder, 'beside');
  mkdirSync(beside, { recursive: true });
  writeFileSync(join(beside, 'kept'), 'kept');
  // Decoded as text, every folder has the link's name.
  const script = `set -e
    ln -s ${beside} "/$(printf "\\357\\277\\275")"
    for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7; do mkdir "/$(printf "\\2$i$j")"; done; done`;
  const { record, stderr } = await run([], sh(script));
  expect({ ...record, stderr }).toMatchObject({ ...CLEAN, verdict: 'succeeded', stderr: '' });
  expect(record?.usage.diskPeakInodes).toBeGreaterThanOrEqual(33);
  expect(readFileSync(join(beside, 'kept'), 'utf8')).toBe('kept');
}

export function describeDiskCases(runner: TaskRunner): void {
  const { run, folder } = runner;
  it('names that are not valid UTF-8 are counted and removed, and similar names are not', async () => {
    await expectNamesRemoved(runner);
  });

  it('a task that fills its disk and fails ends as disk_full, with its own exit code', async () => {
    const { status, record, stderr } = await run(['--disk', '8m'], sh(`${FILL} || exit 7`));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', exitCode: 7, error: null });
    expect(record?.retryable).toBe(false);
    expect(status).toBe(7);
    expect(stderr).toContain('--disk');
    expect(record?.usage.diskPeakBytes).toBeGreaterThan(7 * MIB);
    expect(record?.usage.diskPeakBytes).toBeLessThan(9 * MIB);
  });

  it.each([
    ['8m', '1M'],
    ['32m', '3M'],
    ['31m', '64M'],
    ['61m', '100M'],
  ])('a task with large writes ends the same way: %s in writes of %s', async (disk, size) => {
    const script = `dd if=/dev/zero of=/filler bs=${size} count=200 2>/dev/null || exit 7`;
    const { record } = await run(['--disk', disk, '-m', '512m'], sh(script));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', exitCode: 7 });
  });

  it('a task that continues without space and exits 0 has succeeded, and its usage reports the full disk', async () => {
    const { status, record } = await run(['--disk', '8m'], sh(`${FILL}; exit 0`));
    expect({ status, verdict: record?.verdict }).toEqual({ status: 0, verdict: 'succeeded' });
    expect(record?.usage.diskPeakBytes).toBeGreaterThan(7 * MIB);
  });

  it('inodes are limited as bytes are: empty files fill a disk, too', async () => {
    const script = 'mkdir /many; seq 5000 | sed s,^,/many/, | xargs touch 2>/dev/null || exit 3';
    const { status, record } = await run(['--disk', '8m'], sh(script));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', exitCode: 3 });
    expect(status).toBe(3);
    expect(record?.usage.diskPeakInodes).toBeGreaterThanOrEqual(1024);
    expect(record?.usage.diskPeakInodes).toBeLessThan(1100);
  });

  it('a disk that was full counts as full, even if the task freed space before its end', async () => {
    // Three times the longest interval between two checks.
    const script = `${FILL}; sleep 3; rm /filler; exit 1`;
    const { record } = await run(['--disk', '8m'], sh(script));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full', exitCode: 1 });
  });

  it('a task that fails while there is space has failed', async () => {
    const script = 'dd if=/dev/zero of=/some bs=1M count=4 2>/dev/null && exit 1';
    const { record } = await run(['--disk', '16m'], sh(script));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 1 });
    expect(record?.usage.diskPeakBytes).toBeGreaterThanOrEqual(4 * MIB);
  });

  it('files written to /task count, as do the task’s inputs', async () => {
    const code = join(folder, 'code');
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, 'data'), randomBytes(2 * MIB));
    const options = ['--disk', '8m', '--code', code];
    const filled = await run(options, sh('dd if=/dev/zero of=/task/x bs=64k count=999 2>&-'));
    expect(filled.record).toMatchObject({ ...CLEAN, verdict: 'disk_full' });
    const idle = await run(options, ['true']);
    expect(idle.record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    expect(idle.record?.usage.diskPeakBytes).toBeGreaterThanOrEqual(2 * MIB);
  });

  it('inputs that do not fit are an error of the task, and leave nothing', async () => {
    const code = join(folder, 'large-code');
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, 'data'), randomBytes(4 * MIB));
    const { status, record } = await run(['--disk', '2m', '--code', code], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: false,
      error: { code: 'ERR_STACKSHIM_DISK_LIMIT' },
    });
  });

  it('a deep tree and many files are removed with the task', async () => {
    // Chains of a thousand levels, each moved to the end of the next: no path that is used is too long for the kernel, but the whole is.
    const chains = Math.max(3, repeated(10));
    const files = repeated(20_000);
    const deep =
      `set -e; levels=$(printf "d/%.0s" $(seq 1000)); mkdir chain; for i in $(seq ${chains}); ` +
      'do mkdir -p "next/$levels"; mv chain "next/$levels"; mv next chain; done';
    const many = `mkdir /many; cd /many; seq ${files} | xargs touch || exit 8`;
    const { record, stderr } = await run(['--disk', '2g'], sh(`${many}; cd /; ${deep}`));
    expect({ ...record, stderr }).toMatchObject({ ...CLEAN, verdict: 'succeeded', stderr: '' });
    expect(record?.usage.diskPeakInodes).toBeGreaterThan(files + 1_000 * chains);
  });
}
