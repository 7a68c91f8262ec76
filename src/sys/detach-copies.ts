/**
 * Copies of mounts in this mount namespace. A recursive bind of a directory shows the mounts below it a second time, for example the bind of
 * a task that is being set up. While such a copy is attached, the original mount point cannot be removed (EBUSY).
 */
import { basename, dirname, join } from 'node:path';
import { errnoCodeOf, unlessMissing } from '../core/errors.ts';
import { innermostOf, type MountEntry, readMounts } from './mountinfo.ts';
import { entryOf, openPlain, withFd } from './paths.ts';
import type { System } from './system.ts';

/**
 * Removes the mount point `target` by `remove`. If copies of its mounts are attached, detaches them first: the kernel does the same with
 * copies in other mount namespaces. Blocks.
 */
export function removeMountPoint(system: System, target: string, remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isBusy(error) || !detachCopies(system, target)) throw error;
    remove();
  }
}

/** Whether a file or directory cannot be removed because a mount is attached to it. */
export const isBusy = (error: unknown): boolean => errnoCodeOf(error) === 'EBUSY';

/** Detaches all mounts on the file or directory `target`, whatever path leads to them. Returns false if there was none. */
export function detachCopies(system: System, target: string): boolean {
  let isDetached = false;
  for (const mountPoint of findMountsOn(target, readMounts()).toReversed()) {
    isDetached = detachUnlinked(system, mountPoint) || isDetached;
  }
  return isDetached;
}

/** Detaches one mount. Follows no link, because another user may have put one into the path meanwhile. Returns false if there was no mount. */
export function detachUnlinked(system: System, mountPoint: string): boolean {
  const gone = ['ENOENT', 'ENOTDIR', 'ELOOP'];
  const parent = unlessMissing(() => openPlain(dirname(mountPoint), { followLinks: false }), gone);
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

/** Names a file by its filesystem and its path in it. */
const placeIn = ({ device, root, mountPoint }: MountEntry, path: string): string =>
  `${device} ${join(root, path.slice(mountPoint.length))}`;
