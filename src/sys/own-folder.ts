/** Folders whose content decides what root does: no other user may write to them. */
import { chmodSync, lstatSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { ensureDirectorySync } from './files.ts';
import { isOpenToOthers, isOursAlone, withoutOthers } from './ownership.ts';

/** Creates the folder if it is missing, accessible only to its owner. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if others can write to it. */
export function ensureOwnFolder(path: string): void {
  ensureDirectorySync(path, 0o700);
  if (isOwnFolder(path)) return;
  throw new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `use folder ${path}: users other than root can write to it`,
    { hint: `remove ${path}; stackshim creates it again`, details: { path } },
  );
}

/** Like {@link ensureOwnFolder}, and removes all rights of other users, so that they cannot enter the folder. */
export function ensureClosedFolder(path: string): void {
  ensureOwnFolder(path);
  const stats = lstatSync(path);
  if (isOpenToOthers(stats)) chmodSync(path, withoutOthers(stats.mode));
}

/** Whether `path` is a folder that no other user may write to. */
export function isOwnFolder(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && isOursAlone(stats);
}
