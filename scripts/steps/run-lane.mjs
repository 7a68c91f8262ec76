/** Runs one test lane and counts what it did: with vitest here or inside test VMs, or by building every stack. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { countReport } from './count-report.mjs';
import { StepFailure } from './failure.mjs';
import { makeStacks } from './make-stacks.mjs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';
import { parseVmOptions } from './vm-options.mjs';
import { testInVms } from './vm-run.mjs';

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
  const counts = await (ownWays[lane.name] ?? countLane)(lane);
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

/** The core; with --all it cuts the power more often. All the rest takes a slow processor hours: `npm run test:vm`. */
async function countVmLane() {
  const cuts = process.env.STACKSHIM_TEST_FULL === '1' ? ['--power-cuts=3'] : [];
  const options = parseVmOptions(['--core', ...cuts]);
  try {
    const counts = await testInVms(options);
    return { ...counts, problem: findEmptiness(counts) };
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    return { passed: 0, failed: 1, skipped: 0, problem: `${error.message}\n${error.hint}` };
  }
}

/** Every base and stack, from an empty store, counts as one test. */
async function countStacksLane() {
  const reports = await makeStacks({});
  const failed = reports.filter(({ failure }) => failure !== undefined).length;
  const counts = { passed: reports.length - failed, failed, skipped: 0 };
  return { ...counts, problem: findEmptiness(counts) };
}

/** @type {Readonly<Record<string, () => Promise<Omit<LaneResult, 'name' | 'seconds'>>>>} */
const ownWays = { vm: countVmLane, stacks: countStacksLane };

/** @param {{passed: number, failed: number, skipped: number}} counts */
function findEmptiness({ passed, failed, skipped }) {
  if (passed + failed > 0) return undefined;
  return skipped === 0 ? 'ran no test' : 'skipped every test';
}
