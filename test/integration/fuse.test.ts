/** The bundle template `fuse`: who may choose it, what it gives, and what it does not. A whole FUSE mount: test/e2e/stacks-real.test.ts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TaskInput } from '../../src/spec/task-input.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runTask } from '../../src/task/run-task.ts';
import { useInstallation } from '../support/installation.ts';

const { layout, options } = useInstallation();

const run = (script: string, more: Partial<TaskInput> = {}) =>
  runTask({ stack: 'busybox', bundle: 'fuse', command: ['sh', '-c', script], ...more }, options);

it('is refused unless the policy lists it', async () => {
  await expect(run('true')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_DENIED',
    details: { field: 'bundle', asked: 'fuse', allowed: ['default'] },
  });
});

describe('where the policy lists it', () => {
  beforeAll(() => {
    const policy = { allow: { bundles: ['default', 'fuse'] } };
    writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
  });

  it('a task of a user namespace opens /dev/fuse, any user of it', async () => {
    const script = 'stat -c "%t:%T %a" /dev/fuse; exec 3<> /dev/fuse && echo opened';
    for (const user of ['0', '1000']) {
      const result = await run(script, { user });
      expect(result).toMatchObject({ verdict: 'succeeded', removed: true, leftovers: [] });
      expect(result.output.stdout).toBe('a:e5 666\nopened\n');
    }
  });

  it('and mounts, without reaching what the host made read-only', async () => {
    const data = join(layout.root, '..', 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'kept\n');
    const script = [
      'mount -t tmpfs none /mnt && echo mounted',
      'mount -o remount,rw,bind /data || echo refused',
      'echo changed > /data/file || echo read-only',
    ].join('; ');
    const mounts = [`type=bind,source=${data},target=/data,readonly`];
    const result = await run(`mkdir /mnt; ${script}`, { mounts });
    expect(result.output.stdout).toBe('mounted\nrefused\nread-only\n');
  });

  it('makes no other namespaces, and no device nodes', async () => {
    const result = await run('unshare -m true || echo shut; mknod /tmp/kmsg c 1 11 || echo none');
    expect(result.output.stdout).toBe('shut\nnone\n');
  });

  it('gives the device to those who chose it only', async () => {
    const result = await run('test -e /dev/fuse || echo absent', { bundle: 'default' });
    expect(result.output.stdout).toBe('absent\n');
  });
});

it('a device node that cannot be made is an error that names it', () => {
  const make = () =>
    linuxSystem.makeDeviceNode('/nonexistent/node', { type: 'c', major: 1, minor: 3 });
  expect(make).toThrow(
    expect.objectContaining({ code: 'ENOENT', message: expect.stringContaining('/nonexistent') }),
  );
});
