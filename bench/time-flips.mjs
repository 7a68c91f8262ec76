/**
 * Runs on the executable's engine: flips a stack to its last revision and rolls it back, in turn, and prints the durations.
 * Arguments: root folder, stack, last revision, rounds. Prints one JSON object, times in milliseconds.
 */

import { cgroupParent } from '../src/cgroup/cgroup-names.ts';
import { layoutFrom } from '../src/core/layout.ts';
import { flipStacks } from '../src/store/stacks/flip-stacks.ts';
import { rollbackStack } from '../src/store/stacks/rollback.ts';
import { linuxSystem } from '../src/sys/linux-system.ts';

const WARM_UP = 3;
const [root = '', name = '', last = '', rounds = ''] = process.argv.slice(2);
const layout = layoutFrom({ root }, {});
const stack = /** @type {import('../src/core/ids.ts').StackName} */ (name);
const changes = new Map([[stack, Number(last)]]);
const now = new Date();

/** @param {() => Promise<unknown>} work */
async function time(work) {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** @type {{ flip: number[], rollback: number[] }} */
const taken = { flip: [], rollback: [] };
for (let round = Number(rounds) === 0 ? 0 : -WARM_UP; round < Number(rounds); round += 1) {
  const rollback = await time(() => rollbackStack(layout, linuxSystem, { stack, now }));
  const flip = await time(() => flipStacks(layout, linuxSystem, { changes, now, reason: 'bench' }));
  if (round < 0) continue;
  taken.rollback.push(rollback);
  taken.flip.push(flip);
}
process.stdout.write(JSON.stringify({ ...taken, cgroupParent: cgroupParent(layout) }));
