/** Answers who owns a file or folder, and what other users may do with it. */
import type { Stats } from 'node:fs';

/** The required fields of `Stats`. */
export type Owned = Pick<Stats, 'uid' | 'mode'>;

/** Covers access control lists, too: the group bits are the most that a list grants, acl(5). */
const WRITE_BY_OTHERS = 0o022;
const ANY_BY_OTHERS = 0o077;
const STICKY = 0o1000;

/** Whether the file belongs to root, or to the user that this process runs as. */
export const isOurs = ({ uid }: Pick<Owned, 'uid'>): boolean =>
  uid === 0 || uid === process.geteuid?.();

export const isWritableByOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & WRITE_BY_OTHERS) !== 0;

/** Whether other users may read, write or enter it. */
export const isOpenToOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & ANY_BY_OTHERS) !== 0;

/** The mode without any right of other users. */
export const withoutOthers = (mode: number): number => mode & 0o7777 & ~ANY_BY_OTHERS;

/** Whether no other user can change the file, or create anything in the folder. */
export const isOursAlone = (stats: Owned): boolean => isOurs(stats) && !isWritableByOthers(stats);

/** Whether users can remove or rename only their own entries in the folder. */
export const isSticky = ({ mode }: Pick<Owned, 'mode'>): boolean => (mode & STICKY) !== 0;
