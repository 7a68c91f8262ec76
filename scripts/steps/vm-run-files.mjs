/** Runs test files inside a test VM and brings back what they counted. */
import { countReport } from './count-report.mjs';
import { reportStep } from './report-step.mjs';

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/**
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {{title: string, lane: string, files: readonly string[], env: Record<string, string>, scale: number, laneMs: number}} options
 * @returns {Promise<Counts>}
 */
export async function runFiles(machine, { title, lane, files, env, scale, laneMs }) {
  const report = '/tmp/report.json';
  const paths = files.map((file) => `test/${file}`);
  // Without the others: getting each project ready takes a slow processor ten seconds.
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', lane, ...paths];
  const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
  return await reportStep(title, async () => {
    await machine.run('rm', ['-f', report]);
    const { status } = await machine.run('node', [...vitest, ...reporters], {
      env: {
        ...env,
        NO_COLOR: '1',
        STACKSHIM_TEST_VM: '1',
        STACKSHIM_TEST_TIME_SCALE: String(scale),
      },
      show: true,
      timeoutMs: laneMs,
    });
    const read = await machine.run('cat', [report]);
    if (read.status !== 0) {
      console.error(`    no report (status ${status})`);
      return { passed: 0, failed: 1, skipped: 0 };
    }
    const counts = countReport(JSON.parse(read.stdout));
    const isEmpty = counts.passed + counts.failed === 0;
    return {
      ...counts,
      failed: isEmpty || status !== 0 ? Math.max(1, counts.failed) : counts.failed,
    };
  });
}
