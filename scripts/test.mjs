/** npm test [-- LANE…|--all]: set-up, build, then the test lanes one after another; ends with one line of counts. */
import { formatFailures } from './steps/counts.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { chooseLanes } from './steps/lanes.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { runLane } from './steps/run-lane.mjs';
import { runScript } from './steps/run-script.mjs';

await runScript(async () => {
  const lanes = chooseLanes(process.argv.slice(2));
  // Tests that repeat something many times do so more often, then.
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
  console.log(
    `\n${'lane'.padEnd(14)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'skipped'.padStart(9)}${'seconds'.padStart(10)}`,
  );
  for (const { name, counts, seconds } of results) {
    const [passed, failed] = [counts.passed, counts.failed].map((count) =>
      String(count).padStart(8),
    );
    const rest = String(counts.skipped).padStart(9) + seconds.toFixed(1).padStart(10);
    console.log(`${name.padEnd(14)}${passed}${failed}${rest}`);
  }
  const sum = (/** @type {'passed' | 'failed' | 'skipped'} */ field) =>
    results.reduce((total, { counts }) => total + counts[field], 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  return sum('failed') === 0 ? 0 : 1;
}
