/** Folders that only their owner can pass through: what is below them is out of reach for the ids of tasks. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

const PASSED_BY_OTHERS = 0o001;

/** The first folder on the way to `path`, itself included, that keeps other users out; undefined where there is none. Missing ones are not looked at. */
export function findClosedFolder(path: string): string | undefined {
  const above = path === dirname(path) ? undefined : findClosedFolder(dirname(path));
  if (above !== undefined) return above;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined || (stats.mode & PASSED_BY_OTHERS) !== 0 ? undefined : path;
}
