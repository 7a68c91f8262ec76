/** The counts in the last line of `npm test`: no failure is left out. */
import { describe, expect, it } from 'vitest';
import { countReport } from '../../scripts/steps/count-report.mjs';
import { addFailure, formatFailures } from '../../scripts/steps/counts.mjs';
import { describeErrors } from '../../scripts/steps/describe-errors.mjs';
import { chooseLanes, readLanes } from '../../scripts/steps/lanes.mjs';
import { projectRoot } from '../../scripts/steps/paths.mjs';

const file = (status: string, ...tests: string[]) => ({
  name: `${projectRoot}/test/unit/some.test.ts`,
  message: 'SyntaxError: no such export',
  status,
  assertionResults: tests.map((test, index) => ({
    fullName: `things > do ${index}`,
    status: test,
    said: test === 'failed' ? '\u001b[31mexpected 1 to be 2\u001b[39m\n at line' : '',
  })),
});

describe('countReport', () => {
  it('counts tests of all files; todo and pending tests are skipped', () => {
    const testResults = [
      file('passed', 'passed', 'passed', 'pending'),
      file('failed', 'failed', 'passed', 'todo', 'skipped'),
    ];
    expect(countReport({ testResults }, 'unit')).toMatchObject({
      passed: 3,
      failed: 1,
      skipped: 3,
    });
  });

  it('counts a file that cannot be loaded as one failure', () => {
    expect(countReport({ testResults: [file('failed')] }, 'unit')).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
      excepted: 0,
      failures: [{ name: 'test/unit/some.test.ts', said: 'SyntaxError: no such export' }],
    });
  });

  it('counts a file whose hooks failed after its tests passed as one failure', () => {
    expect(countReport({ testResults: [file('failed', 'passed')] }, 'unit')).toMatchObject({
      passed: 1,
      failed: 1,
    });
  });
});

it('the failures are named at the end, with the first lines of each message', () => {
  const counts = countReport({ testResults: [file('failed', 'passed', 'failed')] }, 'unit');
  addFailure(counts, 'power cut 1 of 1', `${'line\n'.repeat(500)}last`);
  const lines = formatFailures(counts.failures).split('\n');
  expect(lines.slice(0, 6)).toEqual([
    '',
    'failed:',
    '  test/unit/some.test.ts > things > do 1',
    '    expected 1 to be 2',
    '     at line',
    '  power cut 1 of 1',
  ]);
  expect(lines.length).toBeLessThan(150);
  expect(lines).not.toContain('    last');
  expect(lines.at(-1)).toBe('    … 381 more lines');
});

it('what failed tests say is complete: the limit of a timeout, each difference, the cause', () => {
  const stacks = [
    { file: '/x/node_modules/vitest/index.js', line: 1 },
    { file: `${projectRoot}/test/unit/some.test.ts`, line: 7 },
  ];
  const left = Array.from({ length: 30 }, (_, index) => `  mount ${index}`).join('\n');
  const said = describeErrors([
    { name: 'Error', message: 'Test timed out in 60000ms.', stacks },
    { name: 'AssertionError', message: `left behind:\n${left}` },
    { message: 'EMFILE', diff: '- one\n+ two', cause: { name: 'Error', message: 'why' } },
  ]);
  expect(said.split('\n')).toEqual([
    'Error: Test timed out in 60000ms.',
    'at test/unit/some.test.ts:7',
    'AssertionError: left behind:',
    ...left.split('\n'),
    ...['EMFILE', '- one', '+ two', 'caused by Error: why'],
  ]);
});

describe('a test with a tag of the lane', () => {
  const reportOf = (status: string) => {
    const report = file(status, status);
    const assertionResults = report.assertionResults.map((test) => ({
      ...test,
      tags: ['gvisor/tmp'],
    }));
    return { testResults: [{ ...report, assertionResults }] };
  };

  it('counts as excepted, not as passed', () => {
    expect(countReport(reportOf('passed'), 'gvisor')).toMatchObject({ passed: 0, excepted: 1 });
  });

  it('fails if it passes in spite of the tag', () => {
    const { failed, failures } = countReport(reportOf('failed'), 'gvisor');
    expect(failed).toBe(1);
    expect(failures[0]?.said).toMatch(/^passes in spite of its tag gvisor\/tmp: /);
  });

  it('counts as passed in another lane', () => {
    expect(countReport(reportOf('passed'), 'e2e')).toMatchObject({ passed: 1, excepted: 0 });
  });
});

describe('chooseLanes', () => {
  it('selects every promised lane of every run, even without tests', () => {
    const promised = readLanes().filter((lane) => lane.promised && lane.everyTime);
    expect(promised.length).toBeGreaterThan(0);
    expect(chooseLanes([])).toEqual(expect.arrayContaining([...promised]));
  });

  it('selects the lanes that are named, in the order of lanes.json', () => {
    expect(chooseLanes(['e2e', 'unit']).map((lane) => lane.name)).toEqual(['unit', 'e2e']);
  });

  it('refuses a lane that does not exist', () => {
    expect(() => chooseLanes(['units'])).toThrow('no such test lane: units');
  });
});
