/** Folders that decide what root does: no other user may write to them. */
import { chmodSync, lstatSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { ensureDirectorySync } from './files.ts';
import { isOpenToOthers, isOursAlone, withoutOthers } from './ownership.ts';

/** Makes the folder where missing, for its owner alone. Throws ERR_STACKSHIM_HOST_UNSUPPORTED for one that others can write to. */
export function ensureOwnFolder(path: string): void {
  ensureDirectorySync(path, 0o700);
  if (isOwnFolder(path)) return;
  throw new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `use folder ${path}: users other than root can write to it`,
    { hint: `remove ${path}; stackshim creates it again`, details: { path } },
  );
}

/** The same, and no other user can enter the folder: a folder that was open loses the rights of others. */
export function ensureClosedFolder(path: string): void {
  ensureOwnFolder(path);
  const stats = lstatSync(path);
  if (isOpenToOthers(stats)) chmodSync(path, withoutOthers(stats.mode));
}

/** Whether it is a folder that nobody else may write to. */
export function isOwnFolder(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && isOursAlone(stats);
}
