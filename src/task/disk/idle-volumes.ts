/**
 * Idle scratch volumes, emptied and mounted for the next task: each has its file in the scratch folder and its mount in
 * `volumes/` of the run folder. The file's name is the claim: whoever renames or unlinks the file owns the volume. A mount
 * without a file has no owner. Each mount namespace has its own idle volumes, because their mounts are invisible in another one.
 */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, tolerate, unlessFailed, unlessMissing } from '../../core/errors.ts';
import { isTaskId } from '../../core/ids.ts';
import {
  IDLE_PREFIX,
  type IdleVolumeName,
  idleVolumeFile,
  type Layout,
  mountedVolumesDir,
  scratchDir,
  taskDir,
} from '../../core/layout.ts';
import { detachTargetAside } from '../../rootfs/mount-rootfs.ts';
import { ensureDirectorySync, isThere, namesIn } from '../../sys/files.ts';
import { ownMountNamespace } from '../../sys/mountinfo.ts';
import { fdPath } from '../../sys/paths.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import {
  BEING_TAKEN,
  detachIdle,
  loopName,
  readLoopDevices,
  unlinkIfThere,
} from './scratch-files.ts';
import { isFreshVolume, STAT_BLOCK_BYTES } from './volume-state.ts';

/** An idle volume costs a mount on the host and an open filesystem. These are enough for the tasks that end and begin at the same time. */
const MAX_IDLE = 32;
/** The kernel releases the last files of an emptied volume within this time. */
const FRESH_WITHIN_MS = 60_000;

type IdleVolume = ReturnType<typeof listIdleVolumes>[number];

/** All idle volumes of every mount namespace, except those claimed meanwhile: with their limit, and the disk space that their file uses. */
export function listIdleVolumes(layout: Layout, offers = listOffers(layout)) {
  return offers.flatMap((offer) => {
    const file = idleVolumeFile(layout, offer);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const mount = `${mountedVolumesDir(layout)}/${offer.id}`;
    const { limitBytes } = offer;
    return [{ file, mount, limitBytes, sizeBytes: stat.blocks * STAT_BLOCK_BYTES }];
  });
}

export interface ClaimedVolume {
  /** A detached mount of the volume; the caller closes it. */
  readonly volume: Fd;
  /** Resolves when the idle mount is detached. Need not be awaited: a rejection does not count as unhandled. */
  readonly detached: Promise<void>;
}

/** Claims a volume with this limit, whose file becomes the task's; undefined if there is none. */
export function claimIdleVolume(
  system: System,
  layout: Layout,
  places: Pick<TaskPlaces, 'volumeFile'>,
  limitBytes: number,
): ClaimedVolume | undefined {
  for (const offer of listOwnOffers(layout).filter((one) => one.limitBytes === limitBytes)) {
    const mount = `${mountedVolumesDir(layout)}/${offer.id}`;
    if (!isMounted(mount)) continue;
    // Another task took the volume. EINVAL: while the kernel resolved the path.
    const volume = unlessFailed(() => system.openTreeClone(mount), ['ENOENT', 'EINVAL']);
    if (volume === undefined) continue;
    let isOurs = false;
    try {
      isOurs =
        isUsable(volume, mount) && tryRename(idleVolumeFile(layout, offer), places.volumeFile);
    } finally {
      if (!isOurs) system.close(volume);
    }
    if (!isOurs) continue;
    const detached = detachTargetAside(system, mount).catch(tolerate(...BEING_TAKEN));
    detached.catch(() => undefined);
    return { volume, detached };
  }
  return undefined;
}

/** Offers a task's emptied volume to later tasks. `volume`: a detached mount of it, which the caller closes. False if enough are idle. */
export function keepIdleVolume(
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  { id, volumeFile, idleVolumeDir }: Pick<TaskPlaces, 'id' | 'volumeFile' | 'idleVolumeDir'>,
  limitBytes: number,
  volume: Fd,
): boolean {
  if (listOwnOffers(layout).length >= MAX_IDLE) return false;
  ensureDirectorySync(mountedVolumesDir(layout), 0o700);
  const mountNamespace = ownMountNamespace();
  const file = idleVolumeFile(layout, { mountNamespace, limitBytes, id });
  // An earlier task with the same id may have left one.
  if (isThere(file)) return false;
  try {
    mkdirSync(idleVolumeDir, { mode: 0o700 });
  } catch (error) {
    if (errnoCodeOf(error) === 'EEXIST') return false;
    throw error;
  }
  // Attach the mount first: renaming the file offers the volume.
  system.attachMount(volume, idleVolumeDir);
  try {
    renameSync(volumeFile, file);
  } catch (error) {
    detachIdle(system, idleVolumeDir);
    throw error;
  }
  return true;
}

/** Removes an idle volume; returns false if a task claimed it meanwhile. */
export function removeIdleVolume(system: System, { file, mount }: IdleVolume): boolean {
  if (!unlinkIfThere(file)) return false;
  detachIdle(system, mount);
  return true;
}

/**
 * Removes what dead processes, ended mount namespaces and earlier boots left: mounts
 * without a file and without a task that may be renaming one, and files without a mount.
 */
export function sweepIdleVolumes(system: System, layout: Layout): void {
  const mounted = namesIn(mountedVolumesDir(layout)).filter(isTaskId);
  const orphans = mounted.filter((id) => !existsSync(taskDir(layout, id)));
  const names = namesIn(scratchDir(layout)).filter((name) => name.startsWith(IDLE_PREFIX));
  // A mounted volume has a loop device: every volume offered before this call had one.
  const loops = readLoopDevices();
  for (const name of names) {
    const file = `${scratchDir(layout)}/${name}`;
    const stat = statSync(file, { throwIfNoEntry: false });
    const isInUse = stat !== undefined && loops.has(loopName(file, stat));
    if (parseOffer(name) === undefined || !isInUse) unlinkIfThere(file);
  }
  // Read the offers last: a task offers its volume before the task's folder goes.
  const offered = new Set(listOffers(layout).map(({ id }) => id));
  for (const id of orphans) {
    if (!offered.has(id)) detachIdle(system, `${mountedVolumesDir(layout)}/${id}`);
  }
  for (const volume of listIdleVolumes(layout, listOwnOffers(layout))) {
    if (!isMounted(volume.mount) || isForgotten(volume)) removeIdleVolume(system, volume);
  }
}

function isUsable(clone: Fd, mount: string): boolean {
  const root = fdPath(clone);
  // If the mount was detached before it was cloned, the clone shows the folder underneath.
  const isVolume = statSync(root).dev !== statSync(dirname(mount)).dev;
  // The kernel may not have released the last task's files yet.
  return isVolume && isFreshVolume(root);
}

/** Whether a process has held a file of the volume open for too long. */
function isForgotten({ file, mount }: IdleVolume): boolean {
  const changedAt = statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
  return Date.now() - changedAt > FRESH_WITHIN_MS && !isFreshVolume(mount);
}

function isMounted(mount: string): boolean {
  const stat = statSync(mount, { throwIfNoEntry: false });
  return stat !== undefined && stat.dev !== statSync(dirname(mount)).dev;
}

const tryRename = (from: string, to: string): boolean =>
  unlessMissing(() => {
    renameSync(from, to);
    return true;
  }) ?? false;

/** The idle volumes, according to the names of their files. */
const listOffers = (layout: Layout): readonly IdleVolumeName[] =>
  namesIn(scratchDir(layout)).flatMap((name) => parseOffer(name) ?? []);

/** The idle volumes whose mounts are visible to this process. */
const listOwnOffers = (layout: Layout): readonly IdleVolumeName[] =>
  listOffers(layout).filter(({ mountNamespace }) => mountNamespace === ownMountNamespace());

function parseOffer(name: string): IdleVolumeName | undefined {
  const [, mountNamespace, bytes, id] = /^\.idle-(\d{1,16})-(\d{1,16})-(.+)$/.exec(name) ?? [];
  if (mountNamespace === undefined || bytes === undefined || id === undefined || !isTaskId(id)) {
    return undefined;
  }
  return { mountNamespace, limitBytes: Number(bytes), id };
}
