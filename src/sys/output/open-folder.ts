/**
 * Opens the folder of a path so that only root can have chosen it: component by component, each relative to the open folder before it. A link is
 * followed only if root (or this user) made it and nobody else can replace it.
 *
 * This differs from trusted-path.ts. Here a folder on the way may belong to anyone and change at any moment, so each component is opened relative
 * to its parent, must exist, and only links are checked. There, nothing is opened, and the owner of every entry is checked.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { isAbsolute } from 'node:path';
import { entryOf, fdPath, toAbsolute } from '../paths.ts';
import type { Fd } from '../system.ts';
import { isOurs, isOursAlone, isSticky, MAX_LINKS } from '../trusted-path.ts';

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Why a path is refused; the message completes another message. */
export class PathRefusal extends Error {
  override readonly name = 'PathRefusal';
  readonly hint = 'name a file in a folder that only root can write to';
}

export interface OpenFolder {
  /** The open folder; the caller closes it. */
  readonly fd: Fd;
  /** The last component of the path, or of the target if that component is a link. Not a link, unless somebody has created one meanwhile. */
  readonly name: string;
  /** Every folder on the way, including those that links lead through, by its path in the kernel. */
  readonly passed: readonly string[];
  readonly isLinked: boolean;
}

/** Opens the folder that contains `path`. Throws {@link PathRefusal} for a link that others control, and system errors. */
export const openFolderOf = (path: string): OpenFolder => walk(path, { toEnd: false });

/** Opens the folder `path` itself. Throws like {@link openFolderOf}. */
export const openFolderAt = (path: string): Pick<OpenFolder, 'fd' | 'passed'> =>
  walk(path, { toEnd: true });

function walk(path: string, { toEnd }: { readonly toEnd: boolean }): OpenFolder {
  let rest = toComponents(toAbsolute(path));
  let links = 0;
  let isLinked = false;
  const passed: string[] = [];
  let folder = openSync('/', FOLDER_FLAGS);
  try {
    for (;;) {
      passed.push(readlinkSync(fdPath(folder)));
      const [name, ...after] = rest;
      if (name === undefined) {
        if (toEnd) return { fd: folder, name: '', passed, isLinked };
        throw new PathRefusal('it is a folder');
      }
      const target = readTrustedLink(folder, name);
      if (target !== undefined) {
        links += 1;
        if (links > MAX_LINKS) throw new PathRefusal('it has too many links');
        isLinked ||= after.length === 0;
        rest = [...toComponents(target), ...after];
        if (isAbsolute(target)) folder = replace(folder, '/');
      } else if (!toEnd && after.length === 0 && name !== '..') {
        return { fd: folder, name, passed, isLinked };
      } else {
        folder = replace(folder, entryOf(folder, name));
        rest = after;
      }
    }
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

const toComponents = (path: string) =>
  path.split('/').filter((name) => name !== '' && name !== '.');

function replace(folder: Fd, next: string): Fd {
  const fd = openSync(next, FOLDER_FLAGS);
  closeSync(folder);
  return fd;
}

/** The target of a link; undefined if the entry is not a link or does not exist. */
function readTrustedLink(folder: Fd, name: string): string | undefined {
  const entry = entryOf(folder, name);
  const stats = lstatSync(entry, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isSymbolicLink()) return undefined;
  if (!isOurs(stats) || !isSafe(fstatSync(folder))) {
    const place = readlinkSync(fdPath(folder));
    throw new PathRefusal(`${place}/${name} is a link that another user may have made`);
  }
  return readlinkSync(entry);
}

/** Whether no other user can remove or replace root's entries in the folder. */
const isSafe = (folder: Stats): boolean =>
  isOursAlone(folder) || (isOurs(folder) && isSticky(folder));
