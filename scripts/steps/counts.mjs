/** The result of a test run: counts, and the names of failures. */
import { cut } from './cut.mjs';

/**
 * @typedef {object} Failure
 * @property {string} name `test/e2e/run.test.ts > runs a task`
 * @property {string} said the beginning of the errors
 *
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 * @property {number} excepted tests that fail in this lane according to a tag
 * @property {Failure[]} failures one for each failed test
 */

/** @returns {Counts} */
export const noTests = () => ({
  passed: 0,
  failed: 0,
  skipped: 0,
  excepted: 0,
  failures: [],
});

/**
 * @param {Counts} counts
 * @param {string} name
 * @param {string} said
 */
export function addFailure(counts, name, said) {
  counts.failed += 1;
  counts.failures.push({ name, said: cut(said, MOST) });
}

/** One line of a list can matter: what a test left behind. */
const MOST = { lines: 120, chars: 12_000 };

/**
 * All failures again, for readers who see only the end of a long output.
 * @param {readonly Failure[]} failures
 */
export function formatFailures(failures) {
  const texts = failures.map(({ name, said }) => `  ${name}\n${said.replace(/^/gm, '    ')}`);
  return texts.length === 0 ? '' : ['\nfailed:', ...texts].join('\n');
}
