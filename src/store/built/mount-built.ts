/** Mounts a cached build once per boot, shared by all tasks, after checking the digests of its files. */
import { lstatSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { StackshimError, unlessMissing } from '../../core/errors.ts';
import { type BuildKey, isBuildKey } from '../../core/ids.ts';
import { builtFile, type Layout, mountedBuiltDir, mountedBuiltsDir } from '../../core/layout.ts';
import { removeMountPoint } from '../../sys/detach-copies.ts';
import { ensureDirectorySync, isStaleName, namesIn } from '../../sys/files.ts';
import { takeFileLock } from '../../sys/lock.ts';
import type { System } from '../../sys/system.ts';
import { writeFileAtomic } from '../../sys/write-file.ts';
import { attachLayerFile } from '../layers/mount-layer.ts';
import { isErofsMounted } from '../layers/mounted-layers.ts';
import { hashFile } from '../layers/verify-layer.ts';
import { waitForLock } from '../with-lock.ts';
import { type BuiltParts, PARTS, type PartName } from './built-record.ts';

export interface BuiltPlace {
  readonly system: System;
  readonly layout: Layout;
  readonly key: BuildKey;
}

const WAIT_MS = 600_000;

export const partFile = (layout: Layout, key: BuildKey, part: PartName): string =>
  builtFile(layout, key, `${part}.erofs`);

/**
 * Returns the folders where the parts are mounted, lowest first. The first caller after a boot reads and mounts the files while others wait; later
 * callers need a few system calls, unless a file has changed. The mounts stay until the build is collected. Precondition: the caller holds the
 * build. Throws ERR_STACKSHIM_BUILT_CORRUPT if a file is missing or does not match its digest.
 */
export async function mountBuilt(
  place: BuiltPlace,
  parts: BuiltParts,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (!isReady(place, parts)) await mountFirst(place, parts, signal);
  return PARTS.map((part) => `${mountedBuiltDir(place.layout, place.key)}/${part}`);
}

/** Detaches the mounts of a build; running tasks keep their clones. Precondition: the caller holds the build's lock. */
export function detachBuilt({ system, layout, key }: BuiltPlace): void {
  for (const part of PARTS) {
    const target = `${mountedBuiltDir(layout, key)}/${part}`;
    while (system.detachMount(target));
    unlessMissing(() => removeMountPoint(system, target, () => rmdirSync(target)));
  }
}

/** Reads all files. Throws ERR_STACKSHIM_BUILT_CORRUPT unless each matches its size and digest. */
export async function requireSoundParts(
  layout: Layout,
  key: BuildKey,
  { parts, signal }: { readonly parts: BuiltParts; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (const part of PARTS) {
    const path = partFile(layout, key, part);
    const { sha256, sizeBytes } = parts[part];
    const actual = await hashFile(path, { signal }).catch((error) => {
      signal?.throwIfAborted();
      throw toCorruptBuilt(path, 'cannot be read', error);
    });
    if (actual.bytes !== sizeBytes)
      throw toCorruptBuilt(path, `${actual.bytes} bytes instead of ${sizeBytes}`);
    if (actual.hex !== sha256) throw toCorruptBuilt(path, `its content has sha256 ${actual.hex}`);
  }
}

export const toCorruptBuilt = (path: string, reason: string, cause?: unknown) =>
  new StackshimError('ERR_STACKSHIM_BUILT_CORRUPT', `read cached build ${path}: ${reason}`, {
    details: { path },
    cause,
  });

/** Identifies the files that were read and mounted: any write to a file changes the stamp. Undefined unless all are regular files. */
function stampOf(layout: Layout, key: BuildKey, parts: BuiltParts): string | undefined {
  const stamps: string[] = [];
  for (const part of PARTS) {
    const path = partFile(layout, key, part);
    const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
    if (found?.isFile() !== true) return undefined;
    const { ino, size, mtimeNs, ctimeNs } = found;
    stamps.push([part, parts[part].sha256, ino, size, mtimeNs, ctimeNs].join(' '));
  }
  return `${stamps.join('\n')}\n`;
}

const stampFile = (layout: Layout, key: BuildKey) => `${mountedBuiltDir(layout, key)}/stamp`;

function isReady({ layout, key }: BuiltPlace, parts: BuiltParts): boolean {
  const noted = unlessMissing(() => readFileSync(stampFile(layout, key), 'utf8'));
  if (noted === undefined || noted !== stampOf(layout, key, parts)) return false;
  return PARTS.every((part) => isErofsMounted(`${mountedBuiltDir(layout, key)}/${part}`));
}

/** Removes stamps left half written by dead processes. */
export function clearStaleStamps(layout: Layout): void {
  for (const key of namesIn(mountedBuiltsDir(layout)).filter(isBuildKey)) {
    const folder = mountedBuiltDir(layout, key);
    for (const name of namesIn(folder).filter(isStaleName)) {
      rmSync(`${folder}/${name}`, { force: true });
    }
  }
}

async function mountFirst(
  place: BuiltPlace,
  parts: BuiltParts,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { system, layout, key } = place;
  const folder = mountedBuiltDir(layout, key);
  // As for layers: a container's root passes through the run folder, but only root through the mounts.
  ensureDirectorySync(layout.run, 0o711);
  ensureDirectorySync(folder, 0o700);
  const path = `${folder}/lock`;
  const lock = await waitForLock(layout, () => takeFileLock(system, path, { wait: false }), {
    waitMs: WAIT_MS,
    signal,
    toBusy: () => toCorruptBuilt(path, 'another process goes on reading it'),
  });
  try {
    if (isReady(place, parts)) return;
    // Take the stamp before reading: a write during the reading changes the stamp.
    const stamp = stampOf(layout, key, parts);
    await requireSoundParts(layout, key, { parts, signal });
    // Mount over an earlier mount, so that a task that starts now never sees an empty folder.
    for (const part of PARTS) {
      const target = `${folder}/${part}`;
      ensureDirectorySync(target, 0o700);
      attachLayerFile(system, partFile(layout, key, part), target);
    }
    if (stamp !== undefined)
      await writeFileAtomic(stampFile(layout, key), stamp, { durable: false });
  } finally {
    lock.release();
  }
}
