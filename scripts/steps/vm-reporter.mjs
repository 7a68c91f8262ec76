/**
 * What vitest inside a test VM says for its host to count: a line for each test and each file that has ended, as it comes. So what
 * was done is known though the run, or the guest, should never end.
 */

/** What such a line begins with, before its JSON; no other line does. */
export const EVENT = '\u001e';

/**
 * @typedef {{file: string, test: 'passed' | 'skipped'} | {file: string, test: 'failed', name: string, said: string}} EndOfTest
 * @typedef {{file: string, hasFailed: boolean, said: string}} EndOfFile
 * @typedef {EndOfTest | EndOfFile} TestEvent
 */

/** @param {TestEvent} event */
const emit = (event) => process.stdout.write(`${EVENT}${JSON.stringify(event)}\n`);

/** @type {import('vitest/node').Reporter} */
export const eventReporter = {
  onTestCaseResult(test) {
    const { state, errors } = test.result();
    const file = test.module.relativeModuleId;
    if (state === 'failed') emit({ file, test: state, name: test.fullName, said: toText(errors) });
    else emit({ file, test: state === 'passed' ? state : 'skipped' });
  },
  onTestModuleEnd(module) {
    const hasFailed = module.state() === 'failed';
    emit({ file: module.relativeModuleId, hasFailed, said: toText(module.errors()) });
  },
};

/** @param {readonly {message: string}[]} errors */
const toText = (errors) => errors.map(({ message }) => message).join('\n');
