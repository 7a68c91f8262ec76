/** Why a task was stopped: the first cause wins, and findings after its end count only if there was no cause before. */
import { expect, it } from 'vitest';
import { decideCause, type StopEvidence } from '../../src/task/build-result.ts';

const NOTHING: StopEvidence = {
  stop: null,
  isCancelled: false,
  isOverdue: false,
  passed: null,
  isDiskPassed: false,
  isOutputPassed: false,
};
const EVERYTHING: StopEvidence = {
  stop: 'cpu_time_exceeded',
  isCancelled: true,
  isOverdue: true,
  passed: 'oom_killed',
  isDiskPassed: true,
  isOutputPassed: true,
};

it('a task that ended by itself has no cause', () => {
  expect(decideCause(NOTHING)).toBeNull();
});

it.each<[string, Partial<StopEvidence>]>([
  ['cpu_time_exceeded', {}],
  ['cancelled', { stop: null }],
  ['timed_out', { stop: null, isCancelled: false }],
  ['oom_killed', { stop: null, isCancelled: false, isOverdue: false }],
  ['disk_full', { stop: null, isCancelled: false, isOverdue: false, passed: null }],
  ['output_limited', { ...NOTHING, isOutputPassed: true }],
])('%s precedes the causes after it', (cause, change) => {
  expect(decideCause({ ...EVERYTHING, ...change })).toBe(cause);
});
