/** Runs test files inside a test VM and counts what they did, as it comes. */
import { note } from './report-step.mjs';
import { EVENT } from './vm-reporter.mjs';

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/** The limit of the whole run ends it sooner. */
const RUN_MS = 12 * 3_600_000;

/**
 * Adds to `counts`, also when the machine ends first: a file that did not come to its end counts as a failure, by its name.
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {{files: readonly string[], env: Record<string, string>, scale: number, counts: Counts}} options
 */
export async function runFiles(machine, { files, env, scale, counts }) {
  const tally = startTally(files, counts);
  let end = '';
  try {
    const { status } = await machine.run(
      'node',
      ['node_modules/vitest/vitest.mjs', 'run', ...tally.left],
      {
        env: {
          ...env,
          NO_COLOR: '1',
          STACKSHIM_TEST_VM: '1',
          STACKSHIM_TEST_TIME_SCALE: String(scale),
        },
        show: true,
        onLine: (line) =>
          line.startsWith(EVENT) && tally.take(JSON.parse(line.slice(EVENT.length))),
        timeoutMs: RUN_MS,
      },
    );
    end = `vitest exited with ${status}`;
    if (status !== 0 && !tally.hasFailed() && tally.left.size === 0) {
      counts.failed += 1;
      note(end);
    }
  } finally {
    counts.failed += tally.left.size;
    for (const file of tally.left) note(`not run to its end: ${file} ${end}`);
  }
}

/**
 * @param {readonly string[]} files
 * @param {Counts} counts
 */
function startTally(files, counts) {
  const left = new Set(files.map((file) => `test/${file}`));
  /** @type {Set<string>} */
  const failed = new Set();
  return {
    left,
    hasFailed: () => failed.size > 0,
    /**
     * @param {import('./vm-reporter.mjs').TestEvent} event
     * @returns {true}
     */
    take(event) {
      if ('test' in event) {
        counts[event.test] += 1;
        if (event.test === 'failed') failed.add(event.file);
      } else {
        left.delete(event.file);
        // One that could not be loaded, or whose hooks failed, has no failed test of its own.
        if (event.hasFailed && !failed.has(event.file)) {
          counts.failed += 1;
          failed.add(event.file);
        }
      }
      return true;
    },
  };
}
