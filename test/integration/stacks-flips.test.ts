/** Tasks that start while their stack flips between revisions: each runs completely on one revision, and none fails. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { runTask } from '../../src/door/open-stackshim.ts';
import { writeImage } from '../../src/store/images/store-image.ts';
import { addRevision } from '../../src/store/stacks/change-revisions.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { digestOf, NOW, stackName } from '../support/stacks/stack-store.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';

const flipper = new URL('../fixtures/flip-until-killed.ts', import.meta.url);
/** Flips leave generations, and a temporary file of the killed flipper. */
const stored = /^file \S+\/lib\/(stacks|images|generations|locks|tmp|current)(\/|$)/;
const { layout, options } = useInstallation([stored]);
const stack = stackName('busybox');

const RESOLVES = 20_000;
const RUNS = isFullRun ? 4000 : 200;
const AT_ONCE = isFullRun ? 16 : 4;
const FLIPS = isFullRun ? 1000 : 100;

/** Revision 2 has the same layers, and a variable that identifies it. */
async function addSecondRevision(): Promise<void> {
  const first = resolveStack(layout, { name: stack }).image;
  const digest = digestOf('second');
  const config = { ...first.config, env: [...first.config.env, 'SECOND=yes'] };
  await writeImage(layout, { ...first, digest, config });
  const source = { kind: 'import' as const, reference: 'test' };
  await addRevision(layout, linuxSystem, { stack, image: digest, source, now: NOW });
}

/** Runs `work` while another process flips as fast as possible; `flips` returns the number of generations so far. */
async function whileFlipping(work: (flips: () => number) => Promise<void>): Promise<void> {
  const generation = () => readCurrentGeneration(layout)?.number ?? 0;
  const before = generation();
  const child = startFixture(flipper, [layout.root, stack]);
  const closed = once(child, 'close');
  try {
    await waitForLine(child, 'flipping');
    await work(() => {
      if (child.exitCode !== null) throw new Error('the flipper has ended');
      return generation() - before;
    });
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

beforeAll(addSecondRevision);

it('every reader sees one revision or the other during flips', async () => {
  const [one, two] = [1, 2].map((revision) => resolveStack(layout, { name: stack, revision }));
  const seen = new Set<number>();
  let unequal = 0;
  await whileFlipping(async (flips) => {
    for (let count = 0; count < RESOLVES || flips() < FLIPS || seen.size < 2; count += 1) {
      if (count % 100 === 0) await nextTurn();
      const pinned = resolveStack(layout, { name: stack });
      seen.add(pinned.revision);
      const whole = pinned.revision === 1 ? one : two;
      if (pinned.image.digest !== whole?.image.digest) unequal += 1;
      if (pinned.image.config.env.includes('SECOND=yes') !== (pinned.revision === 2)) unequal += 1;
    }
  });
  expect(unequal).toBe(0);
  expect([...seen].sort()).toEqual([1, 2]);
});

it('every task runs on one revision or the other during flips', {
  timeout: scaled(1_800_000),
}, async () => {
  const seen = new Set<number>();
  let runs = 0;
  await whileFlipping(async (flips) => {
    const runMany = async () => {
      while (runs < RUNS || flips() < FLIPS || seen.size < 2) {
        runs += 1;
        seen.add(await runOnce());
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, runMany));
  });
  expect([...seen].sort()).toEqual([1, 2]);
});

/** Resolves to the revision that the result names, and checks that the task ran on it. */
async function runOnce(): Promise<number> {
  const result = await runTask({ stack, command: ['sh', '-c', 'echo "$SECOND"'] }, options);
  const { verdict, removed, image, output, revision } = result;
  const pinned = resolveStack(layout, { name: stack, revision });
  expect({ verdict, removed, image, stdout: output.stdout }).toEqual({
    verdict: 'succeeded',
    removed: true,
    image: pinned.image.digest,
    stdout: revision === 2 ? 'yes\n' : '\n',
  });
  return revision;
}
