/**
 * Copies of mounts in this mount namespace. A recursive bind of a directory shows the mounts below it a second time, for example while a task's
 * bind is being set up. As long as such a copy is attached, the original mount point cannot be removed (EBUSY).
 */
import { basename, dirname, join } from 'node:path';
import { errnoCodeOf, unlessFailed } from '../core/errors.ts';
import { innermostOf, type MountEntry, readMounts } from './mountinfo.ts';
import { entryOf, openPlain, withFd } from './paths.ts';
import type { System } from './system.ts';

/**
 * Removes the mount point `target` by calling `remove`. If attached copies of its mounts keep it busy, detaches them and retries; the kernel
 * itself does so with copies in other mount namespaces. Blocks.
 */
export function removeMountPoint(system: System, target: string, remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isBusy(error) || !detachCopies(system, target)) throw error;
    remove();
  }
}

/** Whether a removal failed because a mount is attached to the file or directory. */
export const isBusy = (error: unknown): boolean => errnoCodeOf(error) === 'EBUSY';

/** Detaches all mounts on the file or directory `target`, at whatever path. Returns false if there was none. */
export function detachCopies(system: System, target: string): boolean {
  let isDetached = false;
  for (const mountPoint of findMountsOn(target, readMounts()).toReversed()) {
    isDetached = detachUnlinked(system, mountPoint) || isDetached;
  }
  return isDetached;
}

/** Detaches one mount; returns false if there was none. Follows no link: another user may have put one into the path meanwhile. */
export function detachUnlinked(system: System, mountPoint: string): boolean {
  const gone = ['ENOENT', 'ENOTDIR', 'ELOOP'];
  const parent = unlessFailed(() => openPlain(dirname(mountPoint), { followLinks: false }), gone);
  if (parent === undefined) return false;
  return withFd(parent, () => system.detachMount(entryOf(parent, basename(mountPoint))));
}

/** The mount points that are the same file or directory as `target`. Pure. */
export function findMountsOn(target: string, mounts: readonly MountEntry[]): readonly string[] {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const below = mounts.filter(({ mountPoint }) => isBelow(target, mountPoint));
  const around = innermostOf(below);
  if (around === undefined) return [];
  const place = placeIn(around, target);
  return mounts.flatMap(({ parentId, mountPoint }) => {
    const parent = byId.get(parentId);
    return parent !== undefined && placeIn(parent, mountPoint) === place ? [mountPoint] : [];
  });
}

const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** Identifies a file by its filesystem and its path within that filesystem. */
const placeIn = ({ device, root, mountPoint }: MountEntry, path: string): string =>
  `${device} ${join(root, path.slice(mountPoint.length))}`;
