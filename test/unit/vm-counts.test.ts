/** The counts of files that run in a test VM: a file that does not complete counts as failed, for any reason. */
import { expect, it } from 'vitest';
import { noTests } from '../../scripts/steps/counts.mjs';
import { runProgram, withTimeLimit } from '../../scripts/steps/run-program.mjs';
import type { Machine, RunOptions } from '../../scripts/steps/vm-machine.mjs';
import { EVENT } from '../../scripts/steps/vm-reporter.mjs';
import { runFiles } from '../../scripts/steps/vm-run-files.mjs';

const files = ['e2e/one.test.ts', 'e2e/two.test.ts'];
const options = { files, env: {}, scale: 1 };
const test = (name: string, result: string) => ({
  file: `test/e2e/${name}.test.ts`,
  test: result,
  ...(result === 'failed' ? { name: 'does it', said: 'it did not' } : {}),
});
const end = (name: string, hasFailed = false) => ({
  file: `test/e2e/${name}.test.ts`,
  hasFailed,
  said: hasFailed ? 'no such module' : '',
});

/** A program that prints the events and then exits with `status`, or whose machine is lost. */
async function count(events: readonly object[], status: number | 'lost') {
  const counts = noTests();
  const run = (_: string, __: readonly string[], { onLine }: RunOptions = {}) => {
    for (const event of events) onLine?.(EVENT + JSON.stringify(event));
    return status === 'lost'
      ? Promise.reject(new Error('the test VM ended'))
      : Promise.resolve({ status, stdout: '', stderr: '' });
  };
  const machine: Pick<Machine, 'run'> = { run };
  const over = runFiles(machine as Machine, { ...options, isShared: false, counts });
  if (status === 'lost') await expect(over).rejects.toThrow('the test VM ended');
  else await over;
  return counts;
}

it('tests are counted as they end', async () => {
  const events = [test('one', 'passed'), test('one', 'skipped'), end('one'), end('two')];
  expect(await count(events, 0)).toEqual({
    passed: 1,
    failed: 0,
    skipped: 1,
    excepted: 0,
    failures: [],
  });
});

it('a file that cannot be loaded is counted once, and not again after a failed test', async () => {
  const events = [end('one', true), test('two', 'failed'), end('two', true)];
  expect(await count(events, 1)).toMatchObject({
    passed: 0,
    failed: 2,
    failures: [
      { name: 'test/e2e/one.test.ts', said: 'no such module' },
      { name: 'test/e2e/two.test.ts > does it', said: 'it did not' },
    ],
  });
});

it('each file that was not reached is counted, and earlier counts are kept', async () => {
  const events = [test('one', 'passed'), end('one'), test('two', 'passed')];
  const name = 'test/e2e/two.test.ts';
  const failed = { passed: 2, failed: 1, skipped: 0, excepted: 0, failures: [{ name }] };
  expect(await count(events, 'lost')).toMatchObject(failed);
  expect(await count(events, 0)).toMatchObject(failed);
});

it('a run that fails without a failed test is counted', async () => {
  const events = [test('one', 'passed'), end('one'), end('two')];
  expect(await count(events, 1)).toMatchObject({
    passed: 1,
    failed: 1,
    failures: [{ said: 'vitest exited with 1' }],
  });
});

it('at its time limit a run is ended, and no other process', async () => {
  const late = withTimeLimit(50, async () => {
    await expect(runProgram('sleep', ['600'])).rejects.toThrow('ended by SIGTERM');
    await runProgram('true', []);
  });
  await expect(late).rejects.toThrow('not started: true');
  expect(await withTimeLimit(60_000, () => runProgram('true', []))).toMatchObject({ status: 0 });
});
