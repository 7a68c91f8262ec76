/** Tasks that start while their stack moves back and forth: each runs on one revision, whole, and none fails. */
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { readCurrentGeneration } from '../../src/stacks/generations.ts';
import { writeImage } from '../../src/stacks/image-files.ts';
import { resolveStack } from '../../src/stacks/resolve-stack.ts';
import { addRevision } from '../../src/stacks/revisions.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runTask } from '../../src/task/run-task.ts';
import { startFixture, waitForLine } from '../support/bun-fixture.ts';
import { useInstallation } from '../support/installation.ts';
import { digestOf, NOW, stackName } from '../support/stack-store.ts';

const flipper = new URL('../fixtures/flip-until-killed.ts', import.meta.url);
/** Kept: what was flipped, and what the flipper was writing when it was killed. */
const stored = /^file \S+\/lib\/(stacks|images|generations|locks|tmp|current)(\/|$)/;
const { layout, options } = useInstallation([stored]);
const stack = stackName('busybox');

const RESOLVES = 20_000;
const RUNS = 200;
const AT_ONCE = 4;

/** Revision 2: the same layers, and a variable that says so. */
async function addSecondRevision(): Promise<void> {
  const first = resolveStack(layout, { name: stack }).image;
  const digest = digestOf('second');
  const config = { ...first.config, env: [...first.config.env, 'SECOND=yes'] };
  await writeImage(layout, { ...first, digest, config });
  const source = { kind: 'import' as const, reference: 'test' };
  await addRevision(layout, linuxSystem, { stack, image: digest, source, now: NOW });
}

/** Runs `work` while another process flips as fast as it can; resolves to how many generations that made. */
async function whileFlipping(work: () => Promise<void>): Promise<number> {
  const before = readCurrentGeneration(layout)?.number ?? 0;
  const child = startFixture(flipper, [layout.root, stack]);
  try {
    await waitForLine(child, 'flipping');
    await work();
  } finally {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  return (readCurrentGeneration(layout)?.number ?? 0) - before;
}

it('whoever resolves and runs sees one revision or the other', async () => {
  await addSecondRevision();
  const [one, two] = [1, 2].map((revision) => resolveStack(layout, { name: stack, revision }));
  const seen = new Map<number, number>();
  let unequal = 0;
  const flips = await whileFlipping(async () => {
    for (let count = 0; count < RESOLVES || seen.size < 2; count += 1) {
      const pinned = resolveStack(layout, { name: stack });
      seen.set(pinned.revision, (seen.get(pinned.revision) ?? 0) + 1);
      const whole = pinned.revision === 1 ? one : two;
      if (pinned.image.digest !== whole?.image.digest) unequal += 1;
      if (pinned.image.config.env.includes('SECOND=yes') !== (pinned.revision === 2)) unequal += 1;
    }
    await Promise.all(Array.from({ length: AT_ONCE }, () => runMany(RUNS / AT_ONCE)));
  });
  expect(unequal).toBe(0);
  expect([...seen.keys()].sort()).toEqual([1, 2]);
  expect(flips).toBeGreaterThan(200);
});

/** One after another; each must end on the very revision that its result names. */
async function runMany(runs: number): Promise<void> {
  for (let count = 0; count < runs; count += 1) {
    const result = await runTask({ stack, command: ['sh', '-c', 'echo "$SECOND"'] }, options);
    expect(result).toMatchObject({ verdict: 'succeeded', removed: true });
    expect(result.output.stdout).toBe(result.revision === 2 ? 'yes\n' : '\n');
    expect(result.image).toBe(
      resolveStack(layout, { name: stack, revision: result.revision }).image.digest,
    );
  }
}
