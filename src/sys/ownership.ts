/** Who owns a file or folder, and what other users may do with it; folders that decide what root does: no other user may write to them. */
import { chmodSync, lstatSync, type Stats } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { ensureDirectorySync } from './files.ts';

/** The fields of `Stats` that are needed. */
export type Owned = Pick<Stats, 'uid' | 'mode'>;

/** Covers access control lists too: the group bits are the most that a list grants, acl(5). */
const WRITE_BY_OTHERS = 0o022;
const ANY_BY_OTHERS = 0o077;
const STICKY = 0o1000;

/** Whether it belongs to root, or to the user that this process runs as. */
export const isOurs = ({ uid }: Pick<Owned, 'uid'>): boolean =>
  uid === 0 || uid === process.geteuid?.();

export const isWritableByOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & WRITE_BY_OTHERS) !== 0;

/** Whether others may read, write or enter it. */
export const isOpenToOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & ANY_BY_OTHERS) !== 0;

/** The mode without any right of others. */
export const withoutOthers = (mode: number): number => mode & 0o7777 & ~ANY_BY_OTHERS;

/** Whether nobody else can change the file, or put anything into the folder. */
export const isOursAlone = (stats: Owned): boolean => isOurs(stats) && !isWritableByOthers(stats);

/** Whether users can remove or rename only their own entries of the folder. */
export const isSticky = ({ mode }: Pick<Owned, 'mode'>): boolean => (mode & STICKY) !== 0;

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
