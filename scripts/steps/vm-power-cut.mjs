/** Cuts the power of a test VM while it imports, flips, builds and runs tasks. */
import { StepFailure } from './failure.mjs';
import { note } from './report-step.mjs';

/** How much must be completed before the cut. */
const ENOUGH = { grown: 2, generation: 2, task: 1 };
const BUSY_MS = 1_500_000;

/**
 * Resolves, once the machine is off, to the last number of each kind that it printed; these must exist afterwards.
 * The guest's memory is lost, what it wrote to its disk is not.
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {{builds: boolean}} options
 * @returns {Promise<Record<string, number>>}
 */
export async function cutPowerWhileBusy(machine, { builds }) {
  /** @type {Record<string, number>} */
  const done = {};
  /** @type {Record<string, number>} */
  const seen = {};
  const enough = new Promise((resolve) => {
    const bun = 'node_modules/@oven/bun-linux-x64/bin/bun';
    const program = ['test/fixtures/work-until-power-cut.ts', 'dist/stackshim'];
    const ended = machine.run(bun, [...program, builds ? 'build' : 'no-build'], {
      timeoutMs: BUSY_MS,
      show: true,
      onLine(line) {
        const [, kind, count] = /^(\w+) (\d+)$/.exec(line) ?? [];
        if (kind === undefined) return false;
        done[kind] = Number(count);
        seen[kind] = (seen[kind] ?? 0) + 1;
        if (Object.entries(ENOUGH).every(([one, least]) => (seen[one] ?? 0) >= least))
          resolve(true);
        return false;
      },
    });
    ended.then(
      ({ status, stderr }) => resolve(new Error(`ended with ${status}: ${stderr.slice(-2000)}`)),
      // After that, the loss of the machine is intended.
      resolve,
    );
  });
  const how = await enough;
  if (how instanceof Error)
    throw new StepFailure(`work until the power is cut: ${how.message}`, '');
  await machine.cutPower();
  note(`completed before the cut: ${JSON.stringify(done)}`);
  return done;
}
