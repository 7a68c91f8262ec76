/** Counts the tests in the report of a lane. */
import { relative } from 'node:path';
import { addFailure, noTests } from './counts.mjs';
import { projectRoot } from './paths.mjs';

/**
 * @typedef {object} FileReport
 * @property {string} name its path
 * @property {string} status
 * @property {string} [message] why it could not be loaded, or why its hooks failed
 * @property {number} [seconds]
 * @property {{fullName: string, status: string, tags?: readonly string[], said?: string}[]} assertionResults
 */

/**
 * A file that cannot be loaded, or whose hooks fail, has no failed test: it counts as one failure.
 * A tag `LANE/REASON` means that the test fails in that lane: vitest expects the failure, and reports a pass as a failure.
 * @param {{testResults: FileReport[]}} report of `lane-reporter.mjs`
 * @param {string} lane
 */
export function countReport(report, lane) {
  const counts = noTests();
  for (const file of report.testResults) {
    const name = relative(projectRoot, file.name);
    const failedBefore = counts.failed;
    for (const { status, fullName, tags = [], said = '' } of file.assertionResults) {
      const tag = tags.find((one) => one.startsWith(`${lane}/`));
      if (status === 'passed') counts[tag === undefined ? 'passed' : 'excepted'] += 1;
      else if (status !== 'failed') counts.skipped += 1;
      else {
        const why = tag === undefined ? '' : `passes in spite of its tag ${tag}: `;
        addFailure(counts, `${name} > ${fullName}`, `${why}${said}`);
      }
    }
    if (file.status === 'failed' && counts.failed === failedBefore) {
      addFailure(counts, name, file.message ?? '');
    }
  }
  return counts;
}
