/** Whose a file or folder is, and what others may do with it. */
import type { Stats } from 'node:fs';

/** The fields of `Stats` that tell. */
export type Owned = Pick<Stats, 'uid' | 'mode'>;

/** In access control lists, too: the bits of the group show the most that a list grants, acl(5). */
const WRITE_BY_OTHERS = 0o022;
const ANY_BY_OTHERS = 0o077;
const STICKY = 0o1000;

/** Root's, or the user's whom this process runs as. */
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

/** In a sticky folder nobody removes or renames what others have put there. */
export const isSticky = ({ mode }: Pick<Owned, 'mode'>): boolean => (mode & STICKY) !== 0;
