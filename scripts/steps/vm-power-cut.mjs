/** Cuts the power of a test VM while it imports, flips, builds and runs tasks. */
import { StepFailure } from './failure.mjs';
import { note } from './report-step.mjs';

/** How much must have been done for good before. */
const ENOUGH = { grown: 2, generation: 2, task: 1 };

/**
 * Resolves once the machine is off: to the last number of each kind that it had printed, which must still be there after.
 * What the guest had in its memory is lost, what it had given to its disk is not.
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {{builds: boolean, deadlineMs: number}} options
 * @returns {Promise<Record<string, number>>}
 */
export async function cutPowerWhileBusy(machine, { builds, deadlineMs }) {
  /** @type {Record<string, number>} */
  const done = {};
  /** @type {Record<string, number>} */
  const seen = {};
  let line = '';
  const enough = new Promise((resolve) => {
    const bun = 'node_modules/@oven/bun-linux-x64/bin/bun';
    const program = ['test/fixtures/work-until-power-cut.ts', 'dist/stackshim'];
    const ended = machine.run(bun, [...program, builds ? 'build' : 'no-build'], {
      timeoutMs: deadlineMs,
      show: true,
      onOutput(text) {
        const lines = (line + text).split('\n');
        line = lines.pop() ?? '';
        for (const [, kind = '', count] of lines.map((one) => /^(\w+) (\d+)$/.exec(one) ?? [])) {
          if (kind === '') continue;
          done[kind] = Number(count);
          seen[kind] = (seen[kind] ?? 0) + 1;
        }
        if (Object.entries(ENOUGH).every(([kind, least]) => (seen[kind] ?? 0) >= least))
          resolve(true);
      },
    });
    ended.then(
      ({ status, stderr }) => resolve(new Error(`ended with ${status}: ${stderr.slice(-2000)}`)),
      // That it goes away afterwards is what is wanted.
      resolve,
    );
  });
  const how = await enough;
  if (how instanceof Error) throw new StepFailure(`work until the power goes: ${how.message}`, '');
  await machine.cutPower();
  note(`done for good before: ${JSON.stringify(done)}`);
  return done;
}
