/**
 * Scratch volumes that wait for a task: emptied, mounted, each with its file in the scratch folder and its mount in the run
 * folder's `volumes/`. The file's name is the claim: whoever renames or unlinks it has the volume. A mount without a file is nobody's.
 * Each mount namespace has volumes of its own: in another one their mounts are not seen.
 */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
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
import { ensureDirectorySync, namesIn } from '../../sys/files.ts';
import { ownMountNamespace } from '../../sys/mountinfo.ts';
import { fdPath } from '../../sys/paths.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import {
  detachIdle,
  isBeingTaken,
  loopName,
  readLoopDevices,
  unlinkIfThere,
} from './scratch-files.ts';
import { isFreshVolume, STAT_BLOCK_BYTES } from './volume-state.ts';

/** Each is a mount of the host's, and an open filesystem: enough for the tasks that end and begin at one time. */
const MOST_IDLE = 32;
/** An emptied volume is fresh by then. */
const FRESH_WITHIN_MS = 60_000;

export interface IdleVolume {
  readonly file: string;
  readonly mount: string;
  /** The limit that the volume was made for. */
  readonly limitBytes: number;
  /** What its file takes. */
  readonly sizeBytes: number;
}

type Places = Pick<TaskPlaces, 'id' | 'volumeFile' | 'idleVolumeDir'>;

/** Every volume that waits, in whatever mount namespace. One that is claimed meanwhile is left out. */
export function listIdleVolumes(layout: Layout): readonly IdleVolume[] {
  return listOffers(layout).flatMap((offer) => {
    const file = idleVolumeFile(layout, offer);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const mount = `${mountedVolumesDir(layout)}/${offer.id}`;
    const { limitBytes } = offer;
    return [{ file, mount, limitBytes, sizeBytes: stat.blocks * STAT_BLOCK_BYTES }];
  });
}

export interface ClaimedVolume {
  /** A detached mount of it, which the caller closes. */
  readonly volume: Fd;
  /** Resolves when the volume is attached nowhere any more. A rejection that nobody awaits is no unhandled one. */
  readonly detached: Promise<void>;
}

/** Takes a volume that was made for this limit: its file becomes the task's. Undefined when none waits. */
export function claimIdleVolume(
  system: System,
  layout: Layout,
  { places, limitBytes }: { readonly places: Places; readonly limitBytes: number },
): ClaimedVolume | undefined {
  for (const offer of listOwnOffers(layout).filter((one) => one.limitBytes === limitBytes)) {
    const mount = `${mountedVolumesDir(layout)}/${offer.id}`;
    const volume = openMounted(system, mount);
    if (volume === undefined) continue;
    let isOurs = false;
    try {
      isOurs = tryRename(idleVolumeFile(layout, offer), places.volumeFile);
    } finally {
      if (!isOurs) system.close(volume);
    }
    if (!isOurs) continue;
    const detached = detachTargetAside(system, mount).catch((error: unknown) => {
      if (!isBeingTaken(error)) throw error;
    });
    detached.catch(() => undefined);
    return { volume, detached };
  }
  return undefined;
}

/**
 * Offers a task's emptied volume to later tasks. `volume` is the detached mount of it, which the caller closes either way.
 * False when enough wait already.
 */
export function keepIdleVolume(
  system: System,
  layout: Layout,
  {
    places,
    limitBytes,
    volume,
  }: { readonly places: Places; readonly limitBytes: number; readonly volume: Fd },
): boolean {
  if (listOwnOffers(layout).length >= MOST_IDLE) return false;
  const { id, volumeFile, idleVolumeDir } = places;
  ensureDirectorySync(mountedVolumesDir(layout), 0o700);
  const mountNamespace = ownMountNamespace();
  const file = idleVolumeFile(layout, { mountNamespace, limitBytes, id });
  // An earlier task of this name may have left one.
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return false;
  try {
    mkdirSync(idleVolumeDir, { mode: 0o700 });
  } catch (error) {
    if (errnoCodeOf(error) === 'EEXIST') return false;
    throw error;
  }
  // The mount first: with its file the volume is offered.
  system.attachMount(volume, idleVolumeDir);
  try {
    renameSync(volumeFile, file);
  } catch (error) {
    detachIdle(system, idleVolumeDir);
    throw error;
  }
  return true;
}

/** Ends a volume that waits; false when a task has claimed it meanwhile. */
export function removeIdleVolume(system: System, { file, mount }: IdleVolume): boolean {
  if (!unlinkIfThere(file)) return false;
  detachIdle(system, mount);
  return true;
}

/**
 * Removes what dead processes, ended mount namespaces and earlier boots left: mounts that have neither a file nor a task that could be
 * giving it one, and files without a mount.
 */
export function sweepIdleVolumes(system: System, layout: Layout): void {
  const mounted = namesIn(mountedVolumesDir(layout)).filter(isTaskId);
  const orphans = mounted.filter((id) => !existsSync(taskDir(layout, id)));
  const names = namesIn(scratchDir(layout)).filter((name) => name.startsWith(IDLE_PREFIX));
  // A volume that is mounted anywhere has a loop device: those that were offered before this look had theirs.
  const loops = readLoopDevices();
  for (const name of names) {
    const file = `${scratchDir(layout)}/${name}`;
    const stat = statSync(file, { throwIfNoEntry: false });
    const isInUse = stat !== undefined && loops.has(loopName(file, stat));
    if (parseOffer(name) === undefined || !isInUse) unlinkIfThere(file);
  }
  // Last: a task gives its volume a name, then it is gone.
  const offered = new Set(listOffers(layout).map(({ id }) => id));
  for (const id of orphans) {
    if (!offered.has(id)) detachIdle(system, `${mountedVolumesDir(layout)}/${id}`);
  }
  const own = new Set(listOwnOffers(layout).map((offer) => idleVolumeFile(layout, offer)));
  for (const volume of listIdleVolumes(layout).filter(({ file }) => own.has(file))) {
    if (!isMounted(volume.mount) || isForgotten(volume)) removeIdleVolume(system, volume);
  }
}

/** A detached clone of the volume that is mounted there; undefined when there is none, or none that is fresh. */
function openMounted(system: System, mount: string): Fd | undefined {
  if (!isMounted(mount)) return undefined;
  let clone: Fd;
  try {
    clone = system.openTreeClone(mount);
  } catch (error) {
    // Taken meanwhile; EINVAL: at the very moment at which its path was walked.
    if (['ENOENT', 'EINVAL'].includes(errnoCodeOf(error) ?? '')) return undefined;
    throw error;
  }
  const root = fdPath(clone);
  let isUsable = false;
  try {
    // It may have gone between the look and the clone, which then shows the folder below it.
    const isVolume = statSync(root).dev !== statSync(parentOf(mount)).dev;
    // The kernel takes its time to let go of the last task's files.
    isUsable = isVolume && isFreshVolume(root);
  } finally {
    if (!isUsable) system.close(clone);
  }
  return isUsable ? clone : undefined;
}

/** Something has held on to a file in it for too long for it to be used again. */
function isForgotten({ file, mount }: IdleVolume): boolean {
  const changedAt = statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
  return Date.now() - changedAt > FRESH_WITHIN_MS && !isFreshVolume(mount);
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

function isMounted(mount: string): boolean {
  const stat = statSync(mount, { throwIfNoEntry: false });
  if (stat === undefined) return false;

  return stat.dev !== statSync(parentOf(mount)).dev;
}

function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** As their files' names say. */
const listOffers = (layout: Layout): readonly IdleVolumeName[] =>
  namesIn(scratchDir(layout)).flatMap((name) => parseOffer(name) ?? []);

/** Those whose mounts this process sees. */
const listOwnOffers = (layout: Layout): readonly IdleVolumeName[] =>
  listOffers(layout).filter(({ mountNamespace }) => mountNamespace === ownMountNamespace());

function parseOffer(name: string): IdleVolumeName | undefined {
  const [, mountNamespace, bytes, id] = /^\.idle-(\d{1,16})-(\d{1,16})-(.+)$/.exec(name) ?? [];
  if (mountNamespace === undefined || bytes === undefined || id === undefined || !isTaskId(id)) {
    return undefined;
  }
  return { mountNamespace, limitBytes: Number(bytes), id };
}
