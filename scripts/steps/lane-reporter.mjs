/** A vitest reporter that writes the results of a lane into a file, with all that failed tests say. */
import { writeFileSync } from 'node:fs';
import { describeErrors } from './describe-errors.mjs';

/** The variable that names the file; without it nothing is written. */
export const REPORT_VARIABLE = 'STACKSHIM_TEST_REPORT';

/**
 * @typedef {object} LaneReport
 * @property {import('./count-report.mjs').FileReport[]} testResults
 * @property {string} unhandled errors that belong to no test; empty if there are none
 */

/**
 * @param {string} file
 * @returns {import('vitest/node').Reporter}
 */
export const toReportFile = (file) => ({
  onTestRunEnd(modules, unhandled) {
    /** @type {LaneReport} */
    const report = {
      testResults: modules.map(toFileReport),
      unhandled: describeErrors(unhandled),
    };
    writeFileSync(file, JSON.stringify(report));
  },
});

/**
 * @param {import('vitest/node').TestModule} module
 * @returns {import('./count-report.mjs').FileReport}
 */
function toFileReport(module) {
  const suites = [...module.children.allSuites()];
  return {
    name: module.moduleId,
    status: module.state(),
    message: describeErrors([...module.errors(), ...suites.flatMap((suite) => suite.errors())]),
    seconds: module.diagnostic().duration / 1000,
    assertionResults: [...module.children.allTests()].map((test) => {
      const { state, errors } = test.result();
      return {
        fullName: test.fullName,
        status: state,
        tags: test.tags,
        said: describeErrors(errors),
      };
    }),
  };
}
