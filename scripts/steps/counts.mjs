/** The result of a test run: counts, and the names of failures. */

/**
 * @typedef {object} Failure
 * @property {string} name `test/e2e/run.test.ts > runs a task`
 * @property {string} said the first lines of the error
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
  counts.failures.push({ name, said: shorten(said) });
}

const MOST_LINES = 12;
const MOST_CHARS = 2_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's colours begin with one.
const COLOURS = /\u001b\[[\d;]*m/g;

/** The beginning of a message, which may contain all output of a program. */
const shorten = (/** @type {string} */ said) =>
  said.replace(COLOURS, '').trim().slice(0, MOST_CHARS).split('\n').slice(0, MOST_LINES).join('\n');

/**
 * All failures again, for readers who see only the end of a long output.
 * @param {readonly Failure[]} failures
 */
export function formatFailures(failures) {
  const texts = failures.map(({ name, said }) => `  ${name}\n${said.replace(/^/gm, '    ')}`);
  return texts.length === 0 ? '' : ['\nfailed:', ...texts].join('\n');
}
