/** Removes a test's installation from the host, including what stays by design between tasks. */
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupParent } from '../../../src/cgroup/cgroup-names.ts';
import { errnoCodeOf } from '../../../src/core/errors.ts';
import type { Layout } from '../../../src/core/layout.ts';
import { detachCopies } from '../../../src/sys/detach-copies.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { readMounts } from '../../../src/sys/mountinfo.ts';

/**
 * Unmounts everything below the root and run folders, removes the installation's parent cgroup from every hierarchy, and deletes both
 * folders. Its tasks must have ended: a cgroup with a process cannot be removed.
 */
export function disposeInstallation(layout: Pick<Layout, 'root' | 'run'>): void {
  const folders = [layout.root, layout.run];
  for (const folder of folders) unmountBelow(folder);
  for (const { filesystem, mountPoint } of readMounts()) {
    if (/^cgroup2?$/.test(filesystem)) removeCgroup(join(mountPoint, cgroupParent(layout)));
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/** Mounts below a folder, without mounts on it; also their copies elsewhere: a task of another suite may bind a folder above. */
export function unmountBelow(folder: string): void {
  for (const { mountPoint } of readMounts().toReversed()) {
    if (!mountPoint.startsWith(`${folder}/`)) continue;
    linuxSystem.detachMount(mountPoint);
    detachCopies(linuxSystem, mountPoint);
  }
}

/** Children first; folders of cgroupfs are removed with rmdir(2) only. */
function removeCgroup(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
    }
    rmdirSync(folder);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
  }
}
