/** Killed builds: what was stored stays, and the next build works. */
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BuildResult } from '../../src/build/build-stack.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import type { TaskResult } from '../../src/task/result.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { stackName } from '../support/stacks/stack-store.ts';

const buildFixture = new URL('../fixtures/build-stack.ts', import.meta.url);
const lab = useBuildLab();
const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;

describe('an interrupted build', () => {
  it.each([
    ['while a step of the Dockerfile ran', 'line build waiting', 'RUN echo waiting; sleep 1000'],
    ['before its export', 'step export', 'RUN true'],
    ['before its import', 'step import', 'RUN true'],
    ['before its smoke command', 'step smoke', 'RUN true'],
  ])('%s', async (_, line, slowStep) => {
    await lab.build(lab.writeStack('victim', [...BUSYBOX_IMAGE, SMOKE]));
    const before = readCurrentGeneration(lab.layout);
    const directory = lab.writeStack('victim', [...BUSYBOX_IMAGE, slowStep, SMOKE]);
    const child = startFixture(buildFixture, [lab.layout.root, directory]);
    await waitForLine(child, line);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(readCurrentGeneration(lab.layout)).toEqual(before);
    expect(await lab.run('victim', ['true'])).toMatchObject({ verdict: 'succeeded' });

    // The killed build's folder is removed before this build begins, or at its end if one of the old processes was still running.
    const again = await lab.build(
      lab.writeStack('victim', [...BUSYBOX_IMAGE, 'RUN echo 2 > /2', SMOKE]),
    );
    expect(again.status).toBe('built');
    expect(again.revision).toBeGreaterThan(before?.stacks[stackName('victim')] ?? 0);
    expect(lab.hasWork()).toBe(false);
  });
});

describe('two builds at the same time', () => {
  const built = (name: string) => [...BUSYBOX_IMAGE, `RUN echo ${name} > /name`, SMOKE];
  const homes = () => readdirSync(`${lab.layout.root}/build`).filter((name) => /^\d$/.test(name));

  /** A build that waits in its smoke command until it is released. */
  async function holdAtSmoke(name: string) {
    let release: (result: TaskResult) => void = () => undefined;
    let building: Promise<BuildResult> | undefined;
    await new Promise<void>((resolve, reject) => {
      building = lab.build(lab.writeStack(name, built(name)), {
        runSmoke() {
          resolve();
          return new Promise((end) => {
            release = end;
          });
        },
      });
      building.catch(reject);
    });
    const letGo = async () => {
      release(await lab.run('free-1', ['true']));
      return await building;
    };
    return { letGo };
  }

  it('do not wait for each other; a third one waits, and one of the same stack is refused', async () => {
    await lab.build(lab.writeStack('free-1', built('free-1')));
    const held = await holdAtSmoke('held-1');
    const other = await lab.build(lab.writeStack('free-1', built('other')));
    expect(other).toMatchObject({ status: 'built', revision: 2 });
    expect(homes()).toEqual(['0']);
    const again = lab.build(lab.writeStack('held-1', built('again')));
    await expect(again).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_BUSY',
      details: { stack: 'held-1' },
    });
    const second = await holdAtSmoke('held-2');
    expect(homes()).toEqual(['0', '1']);
    const third = lab.build(lab.writeStack('free-1', built('third')), { lockWaitMs: 50 });
    await expect(third).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_BUSY' });
    const results = await Promise.all([held.letGo(), second.letGo()]);
    expect(results.map((result) => [result?.stack, result?.revision])).toEqual([
      ['held-1', 1],
      ['held-2', 1],
    ]);
    expect(readCurrentGeneration(lab.layout)?.stacks).toMatchObject({ 'held-1': 1, 'held-2': 1 });
    expect(homes()).toEqual([]);
  });

  it('do not affect each other when one dies, and the next build removes what that one left', async () => {
    const slow = [...BUSYBOX_IMAGE, 'RUN echo waiting; sleep 1000', SMOKE];
    const child = startFixture(buildFixture, [lab.layout.root, lab.writeStack('victim-2', slow)]);
    await waitForLine(child, 'line build waiting');
    const held = await holdAtSmoke('held-3');
    expect(homes()).toEqual(['0', '1']);
    child.kill('SIGKILL');
    await once(child, 'close');
    // This build gets the place of the dead one when the last of its processes has ended.
    const next = await lab.build(lab.writeStack('free-1', built('next')));
    expect(next).toMatchObject({ status: 'built' });
    expect(homes()).toEqual(['1']);
    expect(await held.letGo()).toMatchObject({ status: 'built', stack: 'held-3' });
    expect(homes()).toEqual([]);
    expect(readCurrentGeneration(lab.layout)?.stacks).not.toHaveProperty('victim-2');
  });

  it('leave no unused home folder after a later build begins or ends', async () => {
    const leftover = `${lab.layout.root}/build/1/work`;
    mkdirSync(leftover, { recursive: true });
    const held = await holdAtSmoke('held-4');
    expect(homes()).toEqual(['0']);
    // The state after a build whose last process was still running when the next build began.
    mkdirSync(leftover, { recursive: true });
    expect(await held.letGo()).toMatchObject({ status: 'built' });
    expect(homes()).toEqual([]);
  });
});
