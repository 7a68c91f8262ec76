/** Runs one test lane and counts its results: with vitest here or inside test VMs, or by building every stack. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { countReport } from './count-report.mjs';
import { addFailure, noTests } from './counts.mjs';
import { StepFailure } from './failure.mjs';
import { REPORT_VARIABLE } from './lane-reporter.mjs';
import { makeStacks } from './make-stacks.mjs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';
import { parseVmOptions } from './vm-options.mjs';
import { testInVms } from './vm-run.mjs';

/**
 * @typedef {import('./counts.mjs').Counts} Counts
 * @typedef {{name: string, seconds: number, counts: Counts}} LaneResult
 * If anything went wrong in a lane, its failure count is not 0.
 */

/**
 * @param {import('./lanes.mjs').Lane} lane
 * @returns {Promise<LaneResult>}
 */
export async function runLane(lane) {
  const startedAt = Date.now();
  const counts = await (ownWays[lane.name] ?? countLane)(lane);
  const seconds = (Date.now() - startedAt) / 1000;
  const { passed, failed, skipped } = counts;
  if (passed + failed === 0) {
    addFailure(counts, 'the whole lane', skipped === 0 ? 'ran no test' : 'skipped every test');
  }
  return { name: lane.name, seconds, counts };
}

/** @param {string} why */
function failedLane(why) {
  const counts = noTests();
  addFailure(counts, 'the whole lane', why);
  return counts;
}

/** @param {import('./lanes.mjs').Lane} lane */
async function countLane(lane) {
  if (lane.privileged && process.getuid?.() !== 0) return failedLane('needs root');
  const folder = await mkdtemp(`${tmpdir()}/stackshim-lane-`);
  const reportFile = `${folder}/report.json`;
  const vitest = [`${projectRoot}/node_modules/vitest/vitest.mjs`, 'run', '--project', lane.name];
  try {
    const { status } = await runProgram(process.execPath, vitest, {
      cwd: projectRoot,
      env: { [REPORT_VARIABLE]: reportFile },
      anyStatus: true,
    });
    if (!existsSync(reportFile)) return failedLane(`no report (status ${status})`);
    /** @type {import('./lane-reporter.mjs').LaneReport} */
    const report = JSON.parse(await readFile(reportFile, 'utf8'));
    const counts = countReport(report, lane.name);
    if (report.unhandled !== '') addFailure(counts, 'the whole lane', report.unhandled);
    if (status !== 0 && counts.failed === 0) {
      addFailure(counts, 'the whole lane', `vitest exited with ${status}`);
    }
    return counts;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The core; with --all more power cuts. The other files take a slow processor hours: `npm run test:vm`. */
async function countVmLane() {
  const cuts = process.env.STACKSHIM_TEST_FULL === '1' ? ['--power-cuts=3'] : [];
  const options = parseVmOptions(['--core', ...cuts]);
  try {
    return await testInVms(options);
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    return failedLane(`${error.message}\n${error.hint}`);
  }
}

/** Builds every base and stack from an empty store; each counts as one test. */
async function countStacksLane() {
  const counts = noTests();
  for (const { name, failure } of await makeStacks({})) {
    if (failure === undefined) counts.passed += 1;
    else addFailure(counts, name, failure);
  }
  return counts;
}

/** @type {Readonly<Record<string, () => Promise<Counts>>>} */
const ownWays = { vm: countVmLane, stacks: countStacksLane };
