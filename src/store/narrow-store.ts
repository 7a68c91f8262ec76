/** Restricts the store to root, if an earlier version left it readable by every local user. */
import { chmodSync, lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { errnoCodeOf, toStackshimError, unlessFailed, unlessMissing } from '../core/errors.ts';
import {
  buildDir,
  generationsDir,
  imagesDir,
  type Layout,
  layersDir,
  locksDir,
  mountedLayersDir,
  scratchDir,
  stacksDir,
  tmpDir,
} from '../core/layout.ts';
import { isOpenToOthers, withoutOthers } from '../sys/trusted-path.ts';

/** Folders whose files are restricted, too: a process that opened such a folder earlier still reaches its files by name. */
const STORES = [layersDir, imagesDir, stacksDir, generationsDir, locksDir];
/** Folders with content whose modes others chose: files of images, mounted layers. */
const PLACES = [tmpDir, buildDir, scratchDir, mountedLayersDir];

/**
 * Restricts the store to root. Nine system calls if there is nothing to do. A folder is restricted after its content, so in a restricted folder
 * nothing is left to do. Does nothing unless called by root, and nothing on a read-only filesystem. Throws ERR_STACKSHIM_SYSTEM.
 */
export function narrowStore(layout: Layout): void {
  if (process.geteuid?.() !== 0) return;
  for (const place of STORES) narrowFolder(place(layout), narrowEntries);
  for (const place of PLACES) narrowFolder(place(layout), () => undefined);
}

/** Finds a folder that {@link narrowStore} has not restricted yet, or cannot because its disk refuses writes. Undefined if there is none. */
export const findOpenStore = (layout: Layout): string | undefined =>
  [...STORES, ...PLACES]
    .map((place) => place(layout))
    .find((folder) => {
      // EACCES: this user is not root and may not look there.
      const look = () => statSync(folder, { throwIfNoEntry: false });
      const stat = unlessFailed(look, ['EACCES']);
      return stat?.isDirectory() === true && isOpenToOthers(stat);
    });

function narrowFolder(folder: string, narrowFirst: (folder: string) => void): void {
  try {
    // Follow links: the folder may be a link to another disk.
    const stat = statSync(folder, { throwIfNoEntry: false });
    if (stat?.isDirectory() !== true || !isOpenToOthers(stat)) return;
    narrowFirst(folder);
    narrow(folder, stat);
  } catch (error) {
    // EROFS: the disk refuses writes. Its tasks can still be listed and ended; code that must write there reports the error.
    if (['ENOENT', 'EROFS'].includes(errnoCodeOf(error) ?? '')) return;
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `restrict ${folder} to root`);
  }
}

function narrowEntries(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = `${folder}/${name}`;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) narrowFolder(path, narrowEntries);
    else if (stat?.isFile() === true && isOpenToOthers(stat)) narrow(path, stat);
  }
}

function narrow(path: string, { mode }: Stats): void {
  // The file may just have been collected.
  unlessMissing(() => chmodSync(path, withoutOthers(mode)));
}
