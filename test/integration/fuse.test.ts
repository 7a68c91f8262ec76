/** The bundle template `fuse`: who may use it, what it allows and what it does not. For a complete FUSE mount see test/e2e/stacks-real.test.ts. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runTask } from '../../src/door/open-stackshim.ts';
import { driverOf } from '../../src/runtime/drivers/driver-of.ts';
import type { TaskInput } from '../../src/spec/task-input.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { makeFolder, runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const { layout, options } = useInstallation();

const run = (script: string, more: Partial<TaskInput> = {}) =>
  runTask({ stack: 'busybox', bundle: 'fuse', command: ['sh', '-c', script], ...more }, options);

it('the bundle fuse is refused unless the policy lists it', async () => {
  await expect(run('true')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_DENIED',
    details: { field: 'bundle', asked: 'fuse', allowed: ['default'] },
  });
});

const folder = makeFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const runtimes = runtimesUnderTest(folder);

describe('if the policy lists it', () => {
  beforeAll(() => {
    const paths = runtimes.map(({ path }) => path);
    const policy = { allow: { bundles: ['default', 'fuse'], runtimes: ['runc', ...paths] } };
    writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
  });

  it.each(runtimes)('a task can open /dev/fuse with $name, as any user', async ({ path }) => {
    const script = 'stat -c "%t:%T %a" /dev/fuse; exec 3<> /dev/fuse && echo opened';
    for (const more of [{ user: '0' }, { user: '1000' }, { userns: 'host' }] as const) {
      const result = await run(script, { ...more, runtime: path });
      expect(result).toMatchObject({ verdict: 'succeeded', removed: true, leftovers: [] });
      expect(result.output.stdout).toBe('a:e5 666\nopened\n');
    }
  });

  describe('and the host made a path read-only', () => {
    const data = `${folder}/data`;
    const mounts = [`type=bind,source=${data},target=/data,readonly`];
    const script = [
      'mkdir /mnt',
      'mount -t tmpfs none /mnt && echo mounted',
      'mount -o remount,rw,bind /data || echo refused',
      'echo changed > /data/file || echo read-only',
    ].join('; ');
    beforeAll(() => {
      mkdirSync(data);
      writeFileSync(join(data, 'file'), 'kept\n');
    });

    it.each(runtimes.filter((runtime) => driverOf(runtime).locksBinds))(
      'a task mounts with $name and cannot reach that path',
      async ({ path }) => {
        const result = await run(script, { mounts, runtime: path });
        expect(result.output.stdout).toBe('mounted\nrefused\nread-only\n');
      },
    );

    it.each(runtimes.filter((runtime) => !driverOf(runtime).locksBinds))(
      'no task runs with $name, which could reach that path',
      async ({ path }) => {
        await expect(run(script, { mounts, runtime: path })).rejects.toMatchObject({
          code: 'ERR_STACKSHIM_SPEC_INVALID',
          details: { field: 'mounts', value: data },
        });
      },
    );
  });

  it('a task can make no other namespaces and no device nodes', async () => {
    const result = await run('unshare -m true || echo shut; mknod /tmp/kmsg c 1 11 || echo none');
    expect(result.output.stdout).toBe('shut\nnone\n');
  });

  it('only tasks with the bundle get the device', async () => {
    const result = await run('test -e /dev/fuse || echo absent', { bundle: 'default' });
    expect(result.output.stdout).toBe('absent\n');
  });
});

it('a device node that cannot be made gives an error that names it', () => {
  const make = () =>
    linuxSystem.makeDeviceNode('/nonexistent/node', { type: 'c', major: 1, minor: 3 });
  expect(make).toThrow(
    expect.objectContaining({ code: 'ENOENT', message: expect.stringContaining('/nonexistent') }),
  );
});
