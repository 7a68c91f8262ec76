/** Descriptors run out at any step of a task: the caller gets an error, and nothing of the task is left. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { tasksDir } from '../../src/core/layout.ts';
import type { ErrorJson, TaskInput, TaskResult } from '../../src/index.ts';
import { namesIn } from '../../src/sys/files.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { scaled } from '../support/timing/time-scale.ts';

const { installation, run, folder } = useTaskRunner();
const { layout, env } = installation;
const COMMAND = ['sh', '-c', 'echo out; exit 7'];
const code = join(folder, 'code');
beforeAll(() => {
  mkdirSync(code);
  writeFileSync(join(code, 'program'), 'text');
});

/** Expects that nothing was left to reap. */
async function expectRemoved(): Promise<void> {
  expect(namesIn(tasksDir(layout))).toEqual([]);
  expect(await runCli(['reap'], { env })).toMatchObject({ status: 0, stdout: '', stderr: '' });
}

/** Waits for the process that removes the task, and reaps if that process ran out of descriptors as well. */
async function reap(): Promise<void> {
  const reapOnce = async () => {
    await runCli(['reap'], { env });
    return namesIn(tasksDir(layout));
  };
  await expect.poll(reapOnce, { timeout: scaled(20_000) }).toEqual([]);
}

interface Told {
  readonly result?: TaskResult;
  /** An error from before the record existed. */
  readonly error?: ErrorJson;
}

function expectTold({ result, error = result?.error ?? undefined }: Told): void {
  expect(error?.code, error?.message).toMatch(/^ERR_STACKSHIM_(PROCESS_EXHAUSTED|RUNTIME_FAILED)$/);
  expect(error?.message).toMatch(/EMFILE|too many open files/);
  if (result === undefined) return;
  const failed = { verdict: 'setup_failed', exitCode: null, retryable: true };
  expect(result).toMatchObject(failed);
}

describe('the executable, short of descriptors, runs', () => {
  /** With fewer, the loader and the engine cannot start the program. */
  const FEWEST = 5;
  const ENOUGH = 3;

  it.each([
    ['the first task of its installation', []],
    ['a task', []],
    ['a task with code and payload', ['--code', code, '--payload', 'text']],
    ['a task that reads', ['-i']],
    ['a task with a terminal', ['-t']],
    ['a task with asynchronous removal', ['--remove', 'async']],
  ])('%s', { timeout: scaled(600_000) }, async (_, options) => {
    let ended = 0;
    for (let files = FEWEST; ended < ENOUGH; files += 1) {
      const through = ['prlimit', `--nofile=${files}:${files}`, '--'];
      const { status, stderr, record } = await run(options, COMMAND, { through });
      const context = `${files} descriptors: ${stderr} ${JSON.stringify(record)}`;
      if (status === 7) ended += 1;
      else {
        ended = 0;
        expect(status, context).toBe(125);
        expect(stderr, context).toMatch(
          / \[ERR_STACKSHIM_(PROCESS_EXHAUSTED|RUNTIME_FAILED)\]\n {2}hint: /,
        );
        if (record !== undefined) expectTold({ result: record });
      }
      await (options.includes('async') ? reap() : expectRemoved());
    }
  });
});

const runShort = (task: TaskInput) =>
  promisify(execFile)(
    'prlimit',
    [
      '--nofile=128:128',
      '--',
      process.execPath,
      fileURLToPath(new URL('../fixtures/run-short-of-descriptors.mjs', import.meta.url)),
      JSON.stringify(task),
    ],
    { env: { ...process.env, ...env } },
  );

describe('a process that is short of descriptors runs through the library', () => {
  it.each<readonly [string, Partial<TaskInput>]>([
    ['a task', {}],
    ['a task with its own volume', { disk: '64m' }],
    ['a task with code and payload', { code, payload: 'text' }],
    ['a task with a terminal', { tty: true }],
  ])('%s', { timeout: scaled(600_000) }, async (_, input) => {
    const { stdout } = await runShort({ stack: 'busybox', command: COMMAND, ...input });
    const told: Told[] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const failed = told.filter(({ result }) => result?.exitCode !== 7);
    // The program raises its limit until enough tasks succeed.
    expect(failed.length).toBeGreaterThan(0);
    expect(told.slice(-3).filter((one) => failed.includes(one))).toEqual([]);
    for (const one of failed) {
      expectTold(one);
      if (one.result !== undefined) expect(one.result).toMatchObject(CLEAN);
    }
    await expectRemoved();
  });
});
