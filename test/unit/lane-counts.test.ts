/** The counts behind the last line of `npm test`: nothing that went wrong may count as nothing. */
import { describe, expect, it } from 'vitest';
import { countReport } from '../../scripts/steps/count-report.mjs';
import { chooseLanes, readLanes } from '../../scripts/steps/lanes.mjs';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});

describe('countReport', () => {
  it('counts tests over all files; todo and pending are skipped', () => {
    const testResults = [
      file('passed', 'passed', 'passed', 'pending'),
      file('failed', 'failed', 'passed', 'todo', 'skipped'),
    ];
    expect(countReport({ testResults })).toEqual({ passed: 3, failed: 1, skipped: 3 });
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(countReport({ testResults: [file('failed')] })).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
    });
  });

  it('counts a file whose hooks failed after its tests had passed as one failure', () => {
    expect(countReport({ testResults: [file('failed', 'passed')] })).toMatchObject({
      passed: 1,
      failed: 1,
    });
  });
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
