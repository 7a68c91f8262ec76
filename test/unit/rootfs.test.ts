/** Which mounts make a task's root filesystem, and that a failure leaves none, on a recording kernel port. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTemplate } from '../../src/oci/load-template.ts';
import { mountOverlay } from '../../src/rootfs/mount-overlay.ts';
import { detachRootfs, mountRootfs, withoutBindsInRootfs } from '../../src/rootfs/mount-rootfs.ts';
import { mountTargetsOf, planAdded, planRootfs } from '../../src/rootfs/plan-rootfs.ts';
import { MOUNT_ATTR, SystemError } from '../../src/sys/system.ts';
import { MISSING_FILE, recordSystem } from './support/recording-system.ts';

let folder: string;
let places: { taskDir: string; scratchDir: string };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-rootfs-'));
  places = { taskDir: join(folder, 'task'), scratchDir: join(folder, 'scratch') };
});
afterEach(() => rmSync(folder, { recursive: true }));

const layers = [
  { kind: 'mounted', path: '/layers/base' },
  { kind: 'mounted', path: '/layers/stack' },
] as const;
/** Without root the test cannot change owners, so nothing is mapped; integration tests check the mapping. */
const options = { owner: null, lowers: 'detached' } as const;

describe('planRootfs', () => {
  it('places the code at /task and every bind at its own path', () => {
    const bind = { type: 'bind', source: '/data', target: '/task/data', readOnly: true } as const;
    const plan = planRootfs({ ...places, layers, binds: [bind] });
    expect(plan.rootfs).toBe(`${places.taskDir}/rootfs`);
    const code = { kind: 'file', path: '/scratch/code.erofs' } as const;
    const added = planAdded({ ...places, code: [code], binds: [bind], bindsBefore: 1 });
    const mounts = [...plan.mounts, ...added.mounts];
    expect(mounts.map(({ type, target }) => [type, target])).toEqual([
      ['overlay', `${places.taskDir}/rootfs`],
      ['bind', `${places.taskDir}/binds/0`],
      ['overlay', `${places.taskDir}/code`],
      ['bind', `${places.taskDir}/binds/1`],
    ]);
    expect([...plan.binds, ...added.binds]).toEqual([
      { source: `${places.taskDir}/binds/0`, target: '/task/data', readOnly: true },
      { source: `${places.taskDir}/code`, target: '/task', readOnly: false },
      { source: `${places.taskDir}/binds/1`, target: '/task/data', readOnly: true },
    ]);
  });

  it('places device nodes on their own filesystem, and binds each into /dev', () => {
    const fuse = { type: 'c', major: 10, minor: 229 } as const;
    const disk = { type: 'b', major: 8, minor: 16 } as const;
    const devices = [
      { path: '/dev/fuse', ...fuse },
      { path: '/dev/disks/a', ...disk },
    ];
    const plan = planRootfs({ ...places, layers, binds: [], devices });
    const target = `${places.taskDir}/devices`;
    expect(plan.mounts[1]).toEqual({ type: 'devices', target, nodes: [fuse, disk] });
    expect(plan.binds).toEqual([
      { source: `${target}/0`, target: '/dev/fuse', readOnly: false, isDevice: true },
      { source: `${target}/1`, target: '/dev/disks/a', readOnly: false, isDevice: true },
    ]);
  });

  it('prepares the host’s sysfs on request', () => {
    const plan = planRootfs({ ...places, layers, binds: [], sysfs: true });
    const target = `${places.taskDir}/sys`;
    expect(plan.sysfs).toBe(target);
    expect(plan.mounts[1]).toEqual({
      type: 'bind',
      source: '/sys',
      target,
      readOnly: true,
      alone: true,
    });
    expect(planRootfs({ ...places, layers, binds: [] }).sysfs).toBeUndefined();
  });

  it('prepares /dev on request', () => {
    const target = `${places.taskDir}/dev`;
    const plan = planRootfs({ ...places, layers, binds: [], dev: true });
    expect(plan.dev).toBe(target);
    expect(plan.mounts[1]).toEqual({ type: 'dev', target });
    expect(planRootfs({ ...places, layers, binds: [] }).dev).toBeUndefined();
  });

  it('uses only paths that removal checks', () => {
    const bind = { type: 'bind', source: '/data', target: '/data', readOnly: false } as const;
    const code = { kind: 'file', path: '/code' } as const;
    const devices = [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 } as const];
    const all = { ...places, layers, binds: [bind, bind], devices, dev: true, sysfs: true };
    const plan = planRootfs(all);
    const added = planAdded({ ...places, code: [code], binds: [bind], bindsBefore: 2 });
    const looked = new Set(mountTargetsOf(places, 3));
    expect([...plan.mounts, ...added.mounts].filter(({ target }) => !looked.has(target))).toEqual(
      [],
    );
  });
});

describe('mountOverlay', () => {
  const overlay = () => ({
    type: 'overlay' as const,
    target: `${places.taskDir}/rootfs`,
    layers,
    scratch: `${places.scratchDir}/rootfs`,
  });

  it('stacks the topmost layer first and attaches only the result', async () => {
    const { system, calls, open } = recordSystem();
    await mountOverlay(system, overlay(), options);
    expect(calls.filter((line) => /^(openTree|fsConfigFd|attach)/.test(line))).toEqual([
      'openTreeClone /layers/stack = 11',
      'fsConfigFd 10 lowerdir+ 11',
      'openTreeClone /layers/base = 12',
      'fsConfigFd 10 lowerdir+ 12',
      `attachMount 13 ${places.taskDir}/rootfs`,
    ]);
    expect(open.size).toBe(0);
    expect(existsSync(`${places.scratchDir}/rootfs/upper`)).toBe(true);
  });

  it('never mounts with userxattr, and always volatile without metacopy', async () => {
    const { system, calls } = recordSystem();
    await mountOverlay(system, overlay(), options);
    expect(calls).toContain('fsConfigFlag 10 volatile');
    expect(calls).toContain('fsConfigString 10 metacopy off');
    expect(calls.filter((line) => line.includes('userxattr'))).toEqual([]);
  });

  it('attaches the layers only while the overlay is made, if the kernel needs that', async () => {
    const { system, calls, open } = recordSystem();
    await mountOverlay(system, overlay(), { ...options, lowers: 'attached' });
    const places = calls.filter((line) => /^(attachMount|detachMount)/.test(line));
    const scratch = `${overlay().scratch}/lower`;
    expect(places).toEqual([
      `attachMount 11 ${scratch}-0`,
      `attachMount 12 ${scratch}-1`,
      `attachMount 13 ${overlay().target}`,
      `detachMount ${scratch}-0`,
      `detachMount ${scratch}-1`,
    ]);
    expect(open.size).toBe(0);
  });

  it('names the attached layers by descriptor in one string, for the old mount call', async () => {
    const { system, calls, open } = recordSystem();
    await mountOverlay(system, overlay(), { ...options, lowers: 'joined' });
    const [mounted, ...more] = calls.filter((line) => line.startsWith('mountByString'));
    const named = 'lowerdir=/proc/self/fd/10:/proc/self/fd/11,upperdir=FD,workdir=FD';
    const fixed = 'metacopy=off,redirect_dir=nofollow,index=off,xino=off,volatile';
    expect(more).toEqual([]);
    expect(mounted?.replaceAll(/(?<=(upper|work)dir=)\/proc\/self\/fd\/\d+/g, 'FD')).toBe(
      `mountByString overlay ${overlay().target} {"flags":6,"options":"${named},${fixed}"}`,
    );
    expect(calls.filter((line) => line.startsWith('detachMount'))).toHaveLength(2);
    expect(open.size).toBe(0);
  });

  it.each([
    [{}, MOUNT_ATTR.NODEV | MOUNT_ATTR.NOSUID],
    [{ setuid: true }, MOUNT_ATTR.NODEV],
  ])('allows setuid files only on request: %j', async (more, set) => {
    const { system, calls } = recordSystem();
    await mountOverlay(system, { ...overlay(), ...more }, options);
    expect(calls.filter((line) => line.startsWith('fsMount'))).toEqual([`fsMount 10 ${set} = 13`]);
    await mountOverlay(system, { ...overlay(), ...more }, { ...options, lowers: 'joined' });
    const joined = calls.find((line) => line.startsWith('mountByString'));
    expect(joined).toContain(`{"flags":${set & 6},`);
  });

  it('closes all descriptors if the kernel refuses, and keeps the kernel’s error', () => {
    const { system, open, failOn } = recordSystem();
    failOn('fsConfigCreate', '', new SystemError('fsconfig', 22, 'EINVAL'));
    expect(() => mountOverlay(system, overlay(), options)).toThrow(
      expect.objectContaining({ syscall: 'fsconfig', code: 'EINVAL' }),
    );
    expect(open.size).toBe(0);
  });
});

describe('mountRootfs', () => {
  const planned = () =>
    planRootfs({
      ...places,
      layers,
      binds: [
        { type: 'bind', source: folder, target: '/a', readOnly: true },
        { type: 'bind', source: folder, target: '/b', readOnly: false },
      ],
    });

  it('detaches its mounts if a later one fails', async () => {
    const { system, calls, open, failOn } = recordSystem();
    failOn('openRealTreeClone', folder, new SystemError('openat2', 40, 'ELOOP', folder));
    await expect(mountRootfs(system, planned(), options)).rejects.toMatchObject({ code: 'ELOOP' });
    expect(calls.filter((line) => line.startsWith('detachMount'))).toEqual([
      `detachMount ${places.taskDir}/binds/1`,
      `detachMount ${places.taskDir}/binds/0`,
      // Repeats until nothing is mounted there.
      `detachMount ${places.taskDir}/rootfs`,
      `detachMount ${places.taskDir}/rootfs`,
    ]);
    expect(open.size).toBe(0);
  });

  it('mounts a bind over a file of the root filesystem if there is one, which the runtime then need not bind', async () => {
    const { system, calls, open } = recordSystem();
    const rootfs = `${places.taskDir}/rootfs`;
    const toBind = (file: string) => ({
      type: 'bind' as const,
      source: folder,
      target: `/${file}`,
      readOnly: true,
      over: { rootfs, file },
    });
    const binds = ['etc/hosts', MISSING_FILE].map(toBind);
    const plan = planRootfs({ ...places, layers, binds });
    await mountRootfs(system, plan, options);
    expect(calls.filter((line) => line.startsWith('attachMountOver'))).toHaveLength(2);
    expect(calls.some((line) => line.endsWith('/binds/0'))).toBe(false);
    const made = withoutBindsInRootfs(plan);
    expect(made.binds).toEqual([
      { source: `${places.taskDir}/binds/1`, target: `/${MISSING_FILE}`, readOnly: true },
    ]);
    expect(made.mounts.map(({ target }) => target)).toEqual([rootfs, `${places.taskDir}/binds/1`]);
    expect(open.size).toBe(0);
  });

  it('makes /dev as the bundle templates do, and leaves none if a node cannot be made', async () => {
    const { system, calls, open, failOn } = recordSystem();
    failOn('makeDeviceNode', '/dev/null', new SystemError('mknodat', 1, 'EPERM'));
    const plan = planRootfs({ ...places, layers, binds: [], dev: true });
    const made = { mounts: plan.mounts.slice(1) };
    await expect(mountRootfs(system, made, options)).rejects.toMatchObject({ code: 'EPERM' });
    const { mounts } = loadTemplate('default').config;
    const dev = mounts.find(({ destination }) => destination === '/dev');
    expect(dev?.options).toEqual(['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k']);
    const { NOSUID, NOEXEC, STRICTATIME } = MOUNT_ATTR;
    const target = `${places.taskDir}/dev`;
    expect(calls.slice(0, -1)).toEqual([
      'fsOpen tmpfs = 10',
      `fsConfigString 10 source ${dev?.source}`,
      'fsConfigString 10 mode 0755',
      'fsConfigString 10 size 64k',
      'fsConfigString 10 uid 0',
      'fsConfigString 10 gid 0',
      'fsConfigCreate 10',
      `fsMount 10 ${NOSUID | NOEXEC | STRICTATIME} = 11`,
      'close 10',
      `attachMount 11 ${target}`,
      `makeDeviceNode ${target}/null {"type":"c","major":1,"minor":3} !`,
      `detachMount ${target}`,
      'close 11',
    ]);
    expect(calls.at(-1)).toBe(`detachMount ${target}`);
    expect(open.size).toBe(0);
  });

  it('detaches in reverse order', async () => {
    const { system, calls } = recordSystem();
    await detachRootfs(system, planned());
    expect(calls.map((line) => line.split('/').slice(-1)[0])).toEqual(['1', '0', 'rootfs']);
  });
});
