/** Folders that other users cannot pass through: they reach nothing below such a folder. */
import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

const PASSED_BY_OTHERS = 0o001;
/** The bits of the group are also those that an access control list grants at most. */
const PASSED_BY_ANY_BUT_OWNER = 0o011;

/** The first folder on the way to `path`, itself included, that the ids of tasks cannot pass through; undefined if there is none. Missing folders are skipped. */
export const findClosedFolder = (path: string): string | undefined =>
  findFolder(path, ({ mode }) => (mode & PASSED_BY_OTHERS) === 0);

/** The same for a folder that only root can pass through. */
export const findFolderOfRoot = (path: string): string | undefined =>
  findFolder(path, ({ uid, mode }) => uid === 0 && (mode & PASSED_BY_ANY_BUT_OWNER) === 0);

function findFolder(path: string, isClosed: (stats: Stats) => boolean): string | undefined {
  const above = path === dirname(path) ? undefined : findFolder(dirname(path), isClosed);
  if (above !== undefined) return above;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && isClosed(stats) ? path : undefined;
}
