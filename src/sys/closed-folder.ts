/** Finds folders that other users cannot pass through to reach what is below them. */
import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

const PASSED_BY_OTHERS = 0o001;
/** The group bits are also the most that an access control list grants. */
const PASSED_BY_ANY_BUT_OWNER = 0o011;

/** The first folder on the way to `path`, or `path` itself, that task ids cannot pass through; undefined if there is none. Skips missing folders. */
export const findClosedFolder = (path: string): string | undefined =>
  findFolder(path, ({ mode }) => (mode & PASSED_BY_OTHERS) === 0);

/** Like {@link findClosedFolder}, for a folder that only root can pass through. */
export const findFolderOfRoot = (path: string): string | undefined =>
  findFolder(path, ({ uid, mode }) => uid === 0 && (mode & PASSED_BY_ANY_BUT_OWNER) === 0);

function findFolder(path: string, isClosed: (stats: Stats) => boolean): string | undefined {
  const above = path === dirname(path) ? undefined : findFolder(dirname(path), isClosed);
  if (above !== undefined) return above;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && isClosed(stats) ? path : undefined;
}
