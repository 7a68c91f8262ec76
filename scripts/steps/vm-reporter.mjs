/**
 * What vitest inside a test VM says for its host to count: a line for each test and each file that has ended, as it comes. So what
 * was done is known though the run, or the guest, should never end.
 */

/** What such a line begins with, before its JSON; no other line does. */
export const EVENT = '\u001e';

/**
 * @typedef {{file: string, test: 'passed' | 'failed' | 'skipped'} | {file: string, hasFailed: boolean}} TestEvent
 * Of a test, and of a file at its end.
 */

/** @param {TestEvent} event */
const emit = (event) => process.stdout.write(`${EVENT}${JSON.stringify(event)}\n`);

/** @type {import('vitest/node').Reporter} */
export const eventReporter = {
  onTestCaseResult(test) {
    const { state } = test.result();
    const file = test.module.relativeModuleId;
    emit({ file, test: state === 'passed' || state === 'failed' ? state : 'skipped' });
  },
  onTestModuleEnd(module) {
    emit({ file: module.relativeModuleId, hasFailed: module.state() === 'failed' });
  },
};
