/** The destination of an output on the host, which is resolved once, before the task starts, and held open. */
import { closeSync, fstatSync, lstatSync, readlinkSync } from 'node:fs';
import { reasonOf, StackshimError, unlessFailed } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../../core/host-ids.ts';
import type { UserIds } from '../../core/mount.ts';
import { openFolderAt, openFolderOf, PathRefusal } from '../../sys/output/open-folder.ts';
import { entryOf, fdPath } from '../../sys/paths.ts';
import type { Fd } from '../../sys/system.ts';

export interface Destination {
  /** The destination itself, or the existing folder in which `name` will be. */
  readonly folder: Fd;
  /** The entry to create, or the regular file to replace; undefined if the folder itself is the destination. */
  readonly name: string | undefined;
  /** Whether `name` becomes a folder, whatever the source is. */
  readonly isFolder: boolean;
  /** The destination's path, by the kernel's names. */
  readonly path: string;
  /** Every folder on the way, including `folder` and those that links lead through. */
  readonly passed: readonly string[];
  close(): void;
}

/** Opens a destination. Throws ERR_STACKSHIM_INPUT_NOT_FOUND for a path that cannot be written to, or that another user may have redirected. */
export function openDestination(path: string): Destination {
  try {
    const existing = unlessFailed(() => openFolderAt(path), ['ENOENT', 'ENOTDIR']);
    if (existing === undefined) return openNew(path);
    const place = { folder: existing.fd, name: undefined, isFolder: true };
    return toDestination(place, existing.passed);
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `write ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { path },
      hint:
        error instanceof PathRefusal
          ? error.hint
          : 'name a folder, or a new name in an existing folder',
    });
  }
}

function openNew(path: string): Destination {
  const isFolder = path.endsWith('/');
  const { fd, name, passed } = openFolderOf(path);
  try {
    const found = lstatSync(entryOf(fd, name), { throwIfNoEntry: false });
    if (found !== undefined && !found.isFile()) {
      throw new PathRefusal('it is neither a folder nor a regular file');
    }
    if (found !== undefined && isFolder) throw new PathRefusal('it is not a folder');
    return toDestination({ folder: fd, name, isFolder }, passed);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function toDestination(
  place: Pick<Destination, 'folder' | 'name' | 'isFolder'>,
  passed: readonly string[],
): Destination {
  const { folder, name } = place;
  const above = readlinkSync(fdPath(folder));
  let isOpen = true;
  return {
    ...place,
    path: name === undefined ? above : `${above === '/' ? '' : above}/${name}`,
    passed,
    close() {
      if (isOpen) closeSync(folder);
      isOpen = false;
    },
  };
}

const SLOTS_END = FIRST_SLOT_ID + SLOT_COUNT * IDS_PER_SLOT;
const isSlotId = (id: number) => id >= FIRST_SLOT_ID && id < SLOTS_END;

/** The owner of new entries: the owner of the folder; undefined: the user of this process. No id of a task ever owns any. */
export function ownerOfFolder(folder: Fd): UserIds | undefined {
  const { uid, gid } = fstatSync(folder);
  if (isSlotId(uid) || isSlotId(gid)) return undefined;
  return uid === process.geteuid?.() && gid === process.getegid?.() ? undefined : { uid, gid };
}
