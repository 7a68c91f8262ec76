/**
 * Opens the folder of a path so that nobody but root can have chosen it: one component after the other, each below the open one before it.
 * A link is followed only where root (or this user) made it and nobody else can put another in its place.
 *
 * Another walk than trusted-path.ts: a folder on the way may belong to anyone and change at any moment, so each is opened below the one before,
 * which must exist; only links are judged. There nothing is opened, and the owner of every entry is judged.
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
import { errnoCodeOf } from '../../core/errors.ts';
import { entryOf, fdPath, toAbsolute } from '../paths.ts';
import type { Fd } from '../system.ts';
import { isOurs, isOursAlone, isSticky } from '../trusted-path.ts';

/** As Linux itself. */
const MOST_LINKS = 40;
const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Why a path is refused, as the end of a message. */
export class PathRefusal extends Error {
  override readonly name = 'PathRefusal';
  readonly hint = 'name a file in a folder that only root can write to';
}

export interface OpenFolder {
  /** The caller closes it. */
  readonly fd: Fd;
  /** The last component of the path, or of what a link in its place names. Not a link, unless somebody has made it one meanwhile. */
  readonly name: string;
  /** Every folder on the way, the links' ones included, as the kernel names them. */
  readonly passed: readonly string[];
  /** Whether the last component was a link. */
  readonly isLinked: boolean;
}

/** Throws {@link PathRefusal} for a link that others control, and the errors of the system. */
export function openFolderOf(path: string): OpenFolder {
  let rest = toComponents(toAbsolute(path));
  let links = 0;
  let isLinked = false;
  const passed: string[] = [];
  let folder = openSync('/', FOLDER_FLAGS);
  try {
    for (;;) {
      passed.push(readlinkSync(fdPath(folder)));
      const [name, ...after] = rest;
      if (name === undefined) throw new PathRefusal('it is a folder');
      const target = readTrustedLink(folder, name);
      if (target !== undefined) {
        links += 1;
        if (links > MOST_LINKS) throw new PathRefusal('it has too many links');
        isLinked ||= after.length === 0;
        rest = [...toComponents(target), ...after];
        if (isAbsolute(target)) folder = replace(folder, '/');
      } else if (after.length === 0 && name !== '..') {
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

/** Where a link leads; undefined for an entry that is not a link or does not exist. */
function readTrustedLink(folder: Fd, name: string): string | undefined {
  const entry = entryOf(folder, name);
  let stats: Stats;
  try {
    stats = lstatSync(entry);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (!stats.isSymbolicLink()) return undefined;
  if (!isOurs(stats) || !isSafe(fstatSync(folder))) {
    const place = readlinkSync(fdPath(folder));
    throw new PathRefusal(`${place}/${name} is a link that another user may have made`);
  }
  return readlinkSync(entry);
}

/** Whether no other user can remove an entry that root has put into the folder. */
const isSafe = (folder: Stats): boolean =>
  isOursAlone(folder) || (isOurs(folder) && isSticky(folder));
