/** Runs one test lane with vitest and counts what it did. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';

/**
 * @typedef {object} LaneResult
 * @property {string} name
 * @property {number} passed
 * @property {number} failed at least 1 when anything about the lane went wrong
 * @property {number} skipped
 * @property {number} seconds
 * @property {string | undefined} problem why the lane failed, apart from tests that failed
 */

/**
 * @param {import('./lanes.mjs').Lane} lane
 * @returns {Promise<LaneResult>}
 */
export async function runLane(lane) {
  const startedAt = Date.now();
  const counts = await countLane(lane);
  const seconds = (Date.now() - startedAt) / 1000;
  const { problem } = counts;
  const failed = problem === undefined ? counts.failed : Math.max(1, counts.failed);
  return { ...counts, name: lane.name, failed, seconds, problem };
}

/** @param {import('./lanes.mjs').Lane} lane */
async function countLane(lane) {
  const nothing = { passed: 0, failed: 0, skipped: 0 };
  if (lane.privileged && process.getuid?.() !== 0) return { ...nothing, problem: 'needs root' };
  const folder = await mkdtemp(`${tmpdir()}/stackshim-lane-`);
  const reportFile = `${folder}/report.json`;
  const vitest = [`${projectRoot}/node_modules/vitest/vitest.mjs`, 'run', '--project', lane.name];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  try {
    const { status } = await runProgram(process.execPath, [...vitest, ...reporters], {
      cwd: projectRoot,
      anyStatus: true,
    });
    if (!existsSync(reportFile)) return { ...nothing, problem: `no report (status ${status})` };
    const counts = countReport(JSON.parse(await readFile(reportFile, 'utf8')));
    const isUnexplained = status !== 0 && counts.failed === 0;
    const unexplained = isUnexplained ? `vitest exited with ${status}` : undefined;
    return { ...counts, problem: findEmptiness(counts) ?? unexplained };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

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

/** @param {{passed: number, failed: number, skipped: number}} counts */
function findEmptiness({ passed, failed, skipped }) {
  if (passed + failed > 0) return undefined;
  return skipped === 0 ? 'ran no test' : 'skipped every test';
}
