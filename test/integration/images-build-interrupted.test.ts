/** Builds that are killed or run out of disk: what was there stays, and the next build works. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { layersDir } from '../../src/core/layout.ts';
import { buildStack } from '../../src/images/build-stack.ts';
import { readCurrentGeneration } from '../../src/stacks/generations.ts';
import { resolveStack } from '../../src/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/build-lab.ts';
import { startFixture, waitForLine } from '../support/bun-fixture.ts';
import { installBusyboxStack } from '../support/busybox-stack.ts';
import { layoutAt, stackName } from '../support/stack-store.ts';

const buildFixture = new URL('../fixtures/build-stack.ts', import.meta.url);
const lab = useBuildLab();
const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;

describe('a build that was killed', () => {
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

    // Waits for the lock, which is free only when the last process of the killed build is gone.
    const again = await lab.build(
      lab.writeStack('victim', [...BUSYBOX_IMAGE, 'RUN echo 2 > /2', SMOKE]),
    );
    expect(again.status).toBe('built');
    expect(again.revision).toBeGreaterThan(before?.stacks[stackName('victim')] ?? 0);
    expect(lab.hasWork()).toBe(false);
  });
});

describe('a full disk', () => {
  it('fails the build and leaves what is stored usable', async () => {
    const root = `${lab.layout.run}/small`;
    mkdirSync(root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', root]);
    try {
      const layout = layoutAt(root);
      await installBusyboxStack(layout);
      const lines = [...BUSYBOX_IMAGE, 'RUN dd if=/dev/urandom of=/big bs=1M count=64', SMOKE];
      const building = buildStack(layout, lab.writeStack('big', lines), {
        system: linuxSystem,
        runSmoke: () => Promise.reject(new Error('never reached')),
      });
      await expect(building).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_DISK_FULL',
        kind: 'exhausted',
      });
      expect(readCurrentGeneration(layout)?.stacks).toEqual({ busybox: 1 });
      expect(resolveStack(layout, { name: stackName('busybox') }).image.layers).toHaveLength(1);
      expect(readdirSync(layersDir(layout))).toHaveLength(2);
    } finally {
      execFileSync('umount', [root]);
      rmdirSync(root);
    }
  });
});
