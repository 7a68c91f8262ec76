/** The counts behind the last line of `npm test`: nothing that went wrong may count as nothing. */
import { describe, expect, it } from 'vitest';
import { countReport } from '../../scripts/steps/count-report.mjs';
import { addFailure, formatFailures } from '../../scripts/steps/counts.mjs';
import { chooseLanes, readLanes } from '../../scripts/steps/lanes.mjs';
import { projectRoot } from '../../scripts/steps/paths.mjs';

const file = (status: string, ...tests: string[]) => ({
  name: `${projectRoot}/test/unit/some.test.ts`,
  message: 'SyntaxError: no such export',
  status,
  assertionResults: tests.map((test, index) => ({
    fullName: `things > do ${index}`,
    status: test,
    failureMessages: test === 'failed' ? ['\u001b[31mexpected 1 to be 2\u001b[39m\n at line'] : [],
  })),
});

describe('countReport', () => {
  it('counts tests over all files; todo and pending are skipped', () => {
    const testResults = [
      file('passed', 'passed', 'passed', 'pending'),
      file('failed', 'failed', 'passed', 'todo', 'skipped'),
    ];
    expect(countReport({ testResults })).toMatchObject({ passed: 3, failed: 1, skipped: 3 });
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(countReport({ testResults: [file('failed')] })).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
      failures: [{ name: 'test/unit/some.test.ts', said: 'SyntaxError: no such export' }],
    });
  });

  it('counts a file whose hooks failed after its tests had passed as one failure', () => {
    expect(countReport({ testResults: [file('failed', 'passed')] })).toMatchObject({
      passed: 1,
      failed: 1,
    });
  });
});

it('names at the end what failed, with the beginning of what was said', () => {
  const counts = countReport({ testResults: [file('failed', 'passed', 'failed')] });
  addFailure(counts, 'power cut 1 of 1', `${'line\n'.repeat(50)}last`);
  const lines = formatFailures(counts.failures).split('\n');
  expect(lines.slice(0, 6)).toEqual([
    '',
    'failed:',
    '  test/unit/some.test.ts > things > do 1',
    '    expected 1 to be 2',
    '     at line',
    '  power cut 1 of 1',
  ]);
  expect(lines.length).toBeLessThan(20);
  expect(lines).not.toContain('    last');
});

describe('chooseLanes', () => {
  it('takes every promised lane of every time, whether or not it has tests', () => {
    const promised = readLanes().filter((lane) => lane.promised && lane.everyTime);
    expect(promised.length).toBeGreaterThan(0);
    expect(chooseLanes([])).toEqual(expect.arrayContaining([...promised]));
  });

  it('takes what is named, in the order of lanes.json', () => {
    expect(chooseLanes(['e2e', 'unit']).map((lane) => lane.name)).toEqual(['unit', 'e2e']);
  });

  it('refuses a lane that does not exist', () => {
    expect(() => chooseLanes(['units'])).toThrow('no such test lane: units');
  });
});
