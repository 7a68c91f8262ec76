/**
 * A vitest reporter inside a test VM: prints a line for each test and each file as it ends, for the host to count. The host thus knows
 * the results so far even if the run or the guest never ends.
 */
import { describeErrors } from './describe-errors.mjs';

/** The prefix of such a line, before its JSON; no other line has it. */
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
    if (state === 'failed')
      emit({ file, test: state, name: test.fullName, said: describeErrors(errors) });
    else emit({ file, test: state === 'passed' ? state : 'skipped' });
  },
  onTestModuleEnd(module) {
    const hasFailed = module.state() === 'failed';
    emit({ file: module.relativeModuleId, hasFailed, said: describeErrors(module.errors()) });
  },
};
