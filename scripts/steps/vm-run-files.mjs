/** Runs test files inside a test VM and counts their results as they arrive. */
import { addFailure } from './counts.mjs';
import { note } from './report-step.mjs';
import { EVENT } from './vm-reporter.mjs';

/** @typedef {import('./counts.mjs').Counts} Counts */

/** The limit of the whole run ends it earlier. */
const RUN_MS = 12 * 3_600_000;

/**
 * `isShared`: the files share one process, which saves an emulated processor ten seconds for each.
 * Adds to `counts`, even if the machine ends first: a file that did not complete counts as a failure with its name.
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {{files: readonly string[], env: Record<string, string>, scale: number, isShared: boolean, counts: Counts}} options
 */
export async function runFiles(machine, { files, env, scale, isShared, counts }) {
  const tally = startTally(files, counts);
  let end = '';
  try {
    const { status } = await machine.run(
      'node',
      [
        ...['node_modules/vitest/vitest.mjs', 'run', ...(isShared ? ['--no-isolate'] : [])],
        ...tally.left,
      ],
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
      addFailure(counts, 'test files', end);
      note(end);
    }
  } finally {
    const why = end === '' ? 'did not complete' : `did not complete: ${end}`;
    for (const file of tally.left) {
      addFailure(counts, file, why);
      note(`${file} ${why}`);
    }
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
      const { file } = event;
      if (!('test' in event)) {
        left.delete(file);
        // A file that cannot be loaded, or whose hooks fail, has no failed test of its own.
        if (event.hasFailed && !failed.has(file)) {
          addFailure(counts, file, event.said);
          failed.add(file);
        }
      } else if (event.test === 'failed') {
        addFailure(counts, `${file} > ${event.name}`, event.said);
        failed.add(file);
      } else counts[event.test] += 1;
      return true;
    },
  };
}
