/**
 * The disk of the root folder fails at any step of a task: the caller gets an error, no record contains anything false, and once the
 * disk accepts writes again `reap` removes what is left.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scratchDir, tasksDir } from '../../src/core/layout.ts';
import { namesIn } from '../../src/sys/files.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { unmountBelow } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { installBusyboxStack, makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { type DyingDisk, makeDyingDisk } from './support/dying-disk.ts';

const { installation, run, folder } = useTaskRunner();
const { layout, env } = installation;
const base = mkdtempSync('/var/tmp/stackshim-dying-');
const COMMAND = ['sh', '-c', 'echo text > /made; exit 7'];
const image = join(folder, 'image');
let disk: DyingDisk;

beforeAll(async () => {
  mkdirSync(image);
  const layers = [
    await makeBusyboxTar(),
    buildTar({ path: 'data', content: randomBytes(200_000) }),
  ];
  await writeSmallOciLayout(image, { layers, env: ['PATH=/bin'] });
  disk = await makeDyingDisk(layout.root, base, async () => {
    chmodSync(layout.root, 0o711);
    linkPatchedRunc(layout);
    await installBusyboxStack(layout);
  });
});
afterAll(() => {
  disk.dispose();
  rmSync(base, { recursive: true });
});

const ENOUGH = 2;
const next = (blocks: number) => (blocks < 8 ? blocks + 1 : Math.ceil(blocks * 1.3));

/** An overcommitted disk has no free space at first. */
const TOLD = /\[ERR_STACKSHIM_DISK_(FAILED|FULL)\]\n {2}hint: /;

/** What the task has left on the host after its last process ended. */
const namesLeft = () => [
  ...namesIn(tasksDir(layout)),
  ...namesIn(scratchDir(layout)).filter((name) => !name.startsWith('.idle-')),
];

function unmountInstallation(): void {
  for (const place of [layout.run, layout.root]) unmountBelow(place);
}

interface Outcome {
  readonly succeeded: boolean;
  /** The expected output of `stackshim reap`. */
  readonly reaped: RegExp;
}

/** Runs `act` on a disk that fails after no, one, two, … more blocks, until `act` succeeds. */
async function sweep(act: () => Promise<Outcome>): Promise<void> {
  let failed = 0;
  for (let [blocks, ended] = [0, 0]; ended < ENOUGH; blocks = next(blocks)) {
    disk.attach(blocks);
    try {
      const { succeeded, reaped } = await act();
      ended = succeeded ? ended + 1 : 0;
      failed += succeeded ? 0 : 1;
      unmountInstallation();
      disk.repair();
      await expectSound(reaped, `${blocks} blocks`);
    } finally {
      unmountInstallation();
      await disk.detach();
    }
  }
  expect(failed).toBeGreaterThan(0);
}

/** Makes the disk accept writes again. */
async function expectSound(reaped: RegExp, when: string): Promise<void> {
  const reap = await runCli(['reap'], { env });
  expect(reap, when).toMatchObject({ status: 0, stderr: '' });
  expect(reap.stdout, when).toMatch(reaped);
  expect(namesLeft()).toEqual([]);
  expect((await verifyStore(layout)).damage).toEqual([]);
  const { status, record } = await run([], COMMAND);
  expect({ status, ...record }, when).toMatchObject({ ...CLEAN, status: 7, exitCode: 7 });
}

it('a task fails with an error that names the disk', { timeout: scaled(600_000) }, async () => {
  await sweep(async () => {
    const { status, stderr, record } = await run([], COMMAND);
    const { id = '', removed = false, leftovers = [] } = record ?? {};
    const left = namesLeft();
    expect({ removed, leftovers: leftovers.length === 0 }).toEqual({
      removed: left.length === 0,
      leftovers: left.length === 0,
    });
    const reaped = removed ? /^$/ : new RegExp(`^${id}\n$`);
    if (status === 7) {
      expect(record).toMatchObject({ verdict: 'failed', exitCode: 7, error: null });
      return { succeeded: removed, reaped };
    }
    expect(status).toBe(125);
    expect(stderr).toMatch(TOLD);
    expect(record).toMatchObject({
      verdict: 'setup_failed',
      exitCode: null,
      error: { code: expect.stringMatching(/^ERR_STACKSHIM_DISK_(FAILED|FULL)$/) },
      retryable: true,
    });
    return { succeeded: false, reaped };
  });
});

it('an import fails, and no stack is harmed', { timeout: scaled(600_000) }, async () => {
  const args = ['stack', 'import', 'other', `oci:${image}:latest`];
  await sweep(async () => {
    const { status, stderr } = await runCli(args, { env });
    if (status !== 0) {
      expect(status).toBe(1);
      expect(stderr).toMatch(TOLD);
    }
    // The smoke task may be left.
    return { succeeded: status === 0, reaped: /^(\w+\n)?$/ };
  });
});
