/** Counts the tests of a report of vitest's. */

/**
 * A file that could not be loaded, or whose hooks failed, has no failed test of its own: it counts as one.
 * @param {{testResults: {status: string, assertionResults: {status: string}[]}[]}} report vitest's JSON report
 */
export function countReport(report) {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const file of report.testResults) {
    const failedBefore = failed;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failed += 1;
      else skipped += 1;
    }
    if (file.status === 'failed' && failed === failedBefore) failed += 1;
  }
  return { passed, failed, skipped };
}
