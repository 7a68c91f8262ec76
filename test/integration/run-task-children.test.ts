/** Tasks beside children that the same process started itself: each exit goes to its own waiter. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { runTask } from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation();
const run = (script: string) =>
  runTask({ stack: 'busybox', command: ['sh', '-c', script] }, installation.options);

const startChild = (code: number): ChildProcess =>
  spawn('/bin/sh', ['-c', `(true &); exit ${code}`], { stdio: 'ignore' });

it('exits of the caller’s own children are reported while tasks come and go', async () => {
  const codes = Array.from({ length: 30 }, (_, i) => i);
  const exits = await Promise.all(
    codes.map(async (code) => {
      const task = run(`exit ${code}`);
      const [exit] = await once(startChild(code), 'exit');
      return [exit, (await task).exitCode];
    }),
  );
  expect(exits).toEqual(codes.map((code) => [code, code]));
});

it('exits of the caller’s own children are reported after seconds without the event loop', async () => {
  const tasks = [11, 12, 13].map((code) => run(`sleep 1; exit ${code}`));
  const children = [21, 22, 23].map(startChild);
  const exits = children.map((child) => once(child, 'exit'));
  // All children end meanwhile, and no exit can be collected.
  for (let i = 0; i < 3; i += 1) {
    execFileSync('sleep', ['1.6']);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  expect((await Promise.all(exits)).map(([code]) => code)).toEqual([21, 22, 23]);
  const results = await Promise.all(tasks);
  expect(results.map(({ exitCode }) => exitCode)).toEqual([11, 12, 13]);
});
