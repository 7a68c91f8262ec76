/** The disk of the root or run folder is full at any step of a task: the caller gets an error, and nothing of the task is left. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tasksDir } from '../../src/core/layout.ts';
import { namesIn } from '../../src/sys/files.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { type TaskRun, useTaskRunner } from '../support/cli/task-runner.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { emptyDisk, fillDisk } from './support/small-disk.ts';

const { installation, run, folder } = useTaskRunner();
const { layout, env } = installation;
const code = join(folder, 'code');
const payload = join(folder, 'payload');
const COMMAND = ['sh', '-c', 'echo text > /made; exit 7'];

beforeAll(async () => {
  mkdirSync(code);
  writeFileSync(join(code, 'program'), Buffer.alloc(40_000, 'program'));
  writeFileSync(payload, Buffer.alloc(20_000, 'payload'));
  const image = join(folder, 'disk.ext4');
  execFileSync('truncate', ['-s', '16M', image]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
  execFileSync('mount', ['-o', 'loop', image, layout.root]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=711', 'none', layout.run]);
  chmodSync(layout.root, 0o711);
  linkPatchedRunc(layout);
  await installBusyboxStack(layout);
});
afterAll(() => {
  // Includes what is mounted below them.
  for (const path of [layout.run, layout.root]) execFileSync('umount', ['-l', path]);
});

const FULL = { code: 'ERR_STACKSHIM_DISK_FULL', kind: 'exhausted' };

function expectTold({ status, stderr, record }: TaskRun): void {
  expect(stderr).toMatch(/ \[ERR_STACKSHIM_DISK_FULL\]\n {2}hint: free disk space/);
  if (record === undefined) {
    expect(status).toBe(125);
    return;
  }
  expect(record).toMatchObject({ error: FULL, retryable: true, removed: true, leftovers: [] });
  // A task that ran while the disk was full reports its own exit.
  const ran = { status: 7, verdict: 'disk_full', exitCode: 7 };
  const failed = { status: 125, verdict: 'setup_failed', exitCode: null };
  const { verdict, exitCode } = record;
  expect({ status, verdict, exitCode }).toEqual(status === 7 ? ran : failed);
}

const ENOUGH = 3;
/** One block at a time at first, because each changes the outcome; then in larger steps, for the volume. */
const next = (blocks: number) => (blocks < 16 ? blocks + 1 : Math.ceil(blocks * 1.3));

describe.each(['root', 'run'] as const)(
  'when the disk of the %s folder fills up during',
  (place) => {
    it.each([
      ['a task', []],
      ['a task with code', ['--code', code]],
      ['a task with a payload', ['--payload-file', payload]],
    ])('%s', { timeout: scaled(600_000) }, async (_, options) => {
      let told = 0;
      for (let [blocks, ended] = [0, 0]; ended < ENOUGH; blocks = next(blocks)) {
        fillDisk(layout[place], blocks);
        const task = await run(options, COMMAND);
        const reap = await runCli(['reap'], { env });
        const left = namesIn(tasksDir(layout));
        emptyDisk(layout[place]);
        expect({ ...reap, left }, `${blocks} blocks`).toMatchObject({
          status: 0,
          stdout: '',
          left: [],
        });
        if (task.record?.verdict === 'setup_failed' || task.record?.error !== null) {
          expectTold(task);
          told += 1;
        }
        ended = task.status === 7 ? ended + 1 : 0;
      }
      expect(told).toBeGreaterThan(0);
      expect((await verifyStore(layout)).damage).toEqual([]);
    });
  },
);
