/** Folders that other users cannot pass through: the ids of tasks reach nothing below such a folder. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

const PASSED_BY_OTHERS = 0o001;

/** The first folder on the way to `path`, itself included, that other users cannot pass through; undefined if there is none. Missing folders are skipped. */
export function findClosedFolder(path: string): string | undefined {
  const above = path === dirname(path) ? undefined : findClosedFolder(dirname(path));
  if (above !== undefined) return above;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined || (stats.mode & PASSED_BY_OTHERS) !== 0 ? undefined : path;
}
