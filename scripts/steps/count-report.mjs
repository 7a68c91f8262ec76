/** Counts the tests of a report of vitest's. */
import { relative } from 'node:path';
import { addFailure, noTests } from './counts.mjs';
import { projectRoot } from './paths.mjs';

/**
 * @typedef {object} FileReport
 * @property {string} name its path
 * @property {string} status
 * @property {string} [message] why it could not be loaded, or its hooks failed
 * @property {{fullName: string, status: string, failureMessages?: string[] | null}[]} assertionResults
 */

/**
 * A file that could not be loaded, or whose hooks failed, has no failed test of its own: it counts as one.
 * @param {{testResults: FileReport[]}} report vitest's JSON report
 */
export function countReport(report) {
  const counts = noTests();
  for (const file of report.testResults) {
    const name = relative(projectRoot, file.name);
    const failedBefore = counts.failed;
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'passed') counts.passed += 1;
      else if (status !== 'failed') counts.skipped += 1;
      else addFailure(counts, `${name} > ${fullName}`, (failureMessages ?? []).join('\n'));
    }
    if (file.status === 'failed' && counts.failed === failedBefore) {
      addFailure(counts, name, file.message ?? '');
    }
  }
  return counts;
}
