/** npm test [-- LANE…|--all]: set-up, build, then the test lanes one after another; ends with a line of counts. */
import { formatFailures } from './steps/counts.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { chooseLanes } from './steps/lanes.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { runLane } from './steps/run-lane.mjs';
import { runScript } from './steps/run-script.mjs';

await runScript(async () => {
  const lanes = chooseLanes(process.argv.slice(2));
  // In the full run, tests that repeat something do so more often.
  const full = process.argv.includes('--all');
  if (full) process.env.STACKSHIM_TEST_FULL = '1';
  if (lanes.some((lane) => lane.privileged)) await prepareHost({ forTests: true, full });
  await ensureBuild();
  /** @type {import('./steps/run-lane.mjs').LaneResult[]} */
  const results = [];
  for (const lane of lanes) {
    console.error(`\n==> test lane ${lane.name}`);
    results.push(await runLane(lane));
  }
  return printSummary(results);
});

/** @param {readonly import('./steps/run-lane.mjs').LaneResult[]} results */
function printSummary(results) {
  const failures = results.flatMap(({ counts }) => counts.failures);
  if (failures.length > 0) console.log(formatFailures(failures));
  const columns = /** @type {const} */ (['passed', 'failed', 'skipped', 'excepted']);
  /** @param {readonly (string | number)[]} cells */
  const toLine = ([name = '', ...cells]) =>
    `${String(name).padEnd(14)}${cells.map((cell) => String(cell).padStart(10)).join('')}`;
  console.log(`\n${toLine(['lane', ...columns, 'seconds'])}`);
  for (const { name, counts, seconds } of results) {
    console.log(toLine([name, ...columns.map((column) => counts[column]), seconds.toFixed(1)]));
  }
  const sum = (/** @type {typeof columns[number]} */ column) =>
    results.reduce((total, { counts }) => total + counts[column], 0);
  console.log(`\n${columns.map((column) => `${sum(column)} ${column}`).join(', ')}`);
  return sum('failed') === 0 ? 0 : 1;
}
