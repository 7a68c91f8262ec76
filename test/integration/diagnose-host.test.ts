/** The doctor on this machine, and on a kernel that lacks features. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Layout } from '../../src/core/layout.ts';
import { type Diagnosis, diagnoseHost } from '../../src/doctor/diagnose-host.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { type System, SystemError } from '../../src/sys/system.ts';
import { expectOpenFiles, openFiles } from '../support/host/open-files.ts';
import { MACHINE_SLOTS } from '../support/installation/machine-slots.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { makeOldKernel } from './support/old-kernel.ts';

let layout: Layout;
/** Only mounts below the test's folder: others change meanwhile. */
const ownMounts = () =>
  readMounts()
    .map(({ mountPoint }) => mountPoint)
    .filter((mountPoint) => mountPoint.startsWith(layout.root));
const find = ({ checks }: Diagnosis, name: string) => checks.find((check) => check.name === name);

beforeEach(() => {
  const root = mkdtempSync('/var/tmp/stackshim-doctor-test-');
  // The same for the run folder below it.
  chmodSync(root, 0o711);
  layout = { root, run: `${root}/run`, policyFile: `${root}/policy.json`, slots: MACHINE_SLOTS };
  writePolicy(layout);
});
afterEach(() => {
  expect(ownMounts()).toEqual([]);
  expect(readdirSync(layout.root).filter((name) => name.startsWith('.'))).toEqual([]);
  rmSync(layout.root, { recursive: true });
});

test('this machine can run tasks, and doctor leaves nothing behind', async () => {
  await diagnoseHost(layout);
  const before = openFiles();
  const diagnosis = await diagnoseHost(layout);
  await expectOpenFiles(before, { mayClose: true });
  expect(diagnosis.canRunTasks).toBe(true);
  expect(diagnosis.checks.map(({ name }) => name)).toEqual([
    'root',
    'kernel',
    'overlay',
    'erofs',
    'user namespaces',
    'seccomp',
    'room for filters',
    'open files',
    'hard limits',
    'core files',
    'queues of sockets',
    'cgroup controllers',
    'swap limit',
    'runtime runc',
    'runtime crun',
    'runtime runsc',
    'mkfs.erofs',
    'buildah',
    'mmdebstrap',
    'perl',
    'folders',
    'run folder',
    'stored files',
    'stored formats',
    'EROFS layers',
    'idmapped layers',
    'overlay of layers',
    'free space',
    'disk limit',
    'policy',
    'bind sources',
    'stacks',
  ]);
  for (const check of diagnosis.checks) {
    expect(check.message).not.toBe('');
    expect(check.hint !== undefined).toBe(check.status !== 'ok');
  }
});

test('a root folder that does not exist yet is not a problem', async () => {
  const diagnosis = await diagnoseHost({ ...layout, root: `${layout.root}/a/b` });
  expect(diagnosis.canRunTasks).toBe(true);
});

test('a root folder that another user controls is a finding, and nothing is tried in it', async () => {
  chmodSync(layout.root, 0o777);
  const diagnosis = await diagnoseHost(layout);
  expect(find(diagnosis, 'folders')).toMatchObject({
    status: 'fail',
    required: true,
    message: expect.stringContaining(layout.root),
    hint: expect.stringContaining(`chmod go-w ${layout.root}`),
  });
  expect(find(diagnosis, 'EROFS layers')).toBeUndefined();
  expect(diagnosis.canRunTasks).toBe(false);
});

test('a run folder that tasks cannot reach is a finding', async () => {
  const closed = `${layout.root}/closed`;
  mkdirSync(closed, { mode: 0o700 });
  const diagnosis = await diagnoseHost({ ...layout, run: `${closed}/run` });
  expect(find(diagnosis, 'run folder')).toMatchObject({
    status: 'fail',
    required: true,
    message: expect.stringContaining(`tasks cannot pass through ${closed} to ${closed}/run`),
    hint: expect.stringContaining(`chmod o+x ${closed}`),
  });
  expect(diagnosis.canRunTasks).toBe(false);
});

test('files that an older version left readable on a read-only disk are a finding', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=711', 'none', layout.root]);
  try {
    mkdirSync(`${layout.root}/layers`);
    writePolicy(layout);
    execFileSync('mount', ['-o', 'remount,ro', layout.root]);
    const diagnosis = await diagnoseHost(layout);
    for (const name of ['EROFS layers', 'disk limit']) {
      expect(find(diagnosis, name)).toMatchObject({
        status: 'fail',
        hint: expect.stringMatching(/^mount the filesystem writable/),
      });
    }
    expect(find(diagnosis, 'stored files')).toMatchObject({
      status: 'warn',
      required: false,
      message: `other users can read what an older version stored in ${layout.root}/layers`,
      hint: expect.stringContaining('writable'),
    });
  } finally {
    execFileSync('umount', [layout.root]);
  }
});

test('an invalid policy file is a finding', async () => {
  writeFileSync(layout.policyFile, '{');
  const diagnosis = await diagnoseHost(layout);
  expect(find(diagnosis, 'policy')).toMatchObject({ status: 'fail', required: true });
  expect(diagnosis.canRunTasks).toBe(false);
});

test('a runtime that is too old, or not a runtime, is a finding', async () => {
  mkdirSync(`${layout.root}/runtimes`);
  const program = `${layout.root}/runtimes/runc`;
  writeFileSync(program, "#!/bin/sh\nprintf 'runc version 1.0.3\\nspec: 1.0.2\\n'\n");
  chmodSync(program, 0o755);
  writeFileSync(`${layout.root}/runtimes/crun`, '#!/bin/false\n', { mode: 0o755 });
  const diagnosis = await diagnoseHost(layout);
  expect(find(diagnosis, 'runtime runc')).toMatchObject({ status: 'fail', required: true });
  expect(diagnosis.canRunTasks).toBe(false);
});

test('a kernel that cannot map ids is a finding', async () => {
  const system: System = {
    ...linuxSystem,
    idmapMount: () => {
      throw new SystemError('mount_setattr', 22, 'EINVAL', 'idmap');
    },
  };
  const diagnosis = await diagnoseHost(layout, system);
  expect(find(diagnosis, 'EROFS layers')).toMatchObject({ status: 'ok' });
  expect(find(diagnosis, 'idmapped layers')).toMatchObject({
    status: 'fail',
    message: 'mount_setattr idmap: EINVAL',
  });
  expect(find(diagnosis, 'overlay of layers')).toBeUndefined();
  expect(diagnosis.canRunTasks).toBe(false);
});

test('a kernel that needs attached lower layers is supported', async () => {
  const system: System = {
    ...linuxSystem,
    fsConfigFd: () => {
      throw new SystemError('fsconfig', 22, 'EINVAL', 'lowerdir+');
    },
  };
  const diagnosis = await diagnoseHost(layout, system);
  expect(find(diagnosis, 'overlay of layers')).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('attached for a moment'),
  });
  expect(diagnosis.canRunTasks).toBe(true);
});

test('a kernel that needs a loop device for EROFS is supported', async () => {
  const diagnosis = await diagnoseHost(layout, makeOldKernel());
  expect(find(diagnosis, 'EROFS layers')).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('loop'),
  });
  expect(find(diagnosis, 'overlay of layers')).toMatchObject({ status: 'ok' });
  expect(diagnosis.canRunTasks).toBe(true);
});

test('a test task that could not be cleaned up is reported', async () => {
  const kept: string[] = [];
  const system: System = {
    ...linuxSystem,
    detachMount: (target) => {
      kept.push(target);
      throw new SystemError('umount2', 16, 'EBUSY', target);
    },
  };
  const diagnosis = await diagnoseHost(layout, system);
  expect(diagnosis.canRunTasks).toBe(false);
  const told = diagnosis.checks.filter(({ message }) => message.startsWith('could not undo'));
  expect(told.length).toBeGreaterThan(0);
  for (const target of kept) linuxSystem.detachMount(target);
  for (const name of readdirSync(layout.root)) {
    if (name.startsWith('.')) rmSync(`${layout.root}/${name}`, { recursive: true });
  }
});
