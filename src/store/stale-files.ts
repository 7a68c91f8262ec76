/** Names temporary files after their process; finds and removes those of dead processes: below `tmp/`, and beside stored files. */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoCodeOf, unlessFailed } from '../core/errors.ts';
import {
  buildDir,
  builtDir,
  generationsDir,
  imagesDir,
  type Layout,
  layersDir,
  packagesDir,
  stacksDir,
  tmpDir,
} from '../core/layout.ts';
import { isStaleName, ownerOfName, toOwnedName } from '../sys/files.ts';
import { removeTree } from '../sys/remove-tree.ts';

/** A file whose name does not contain its owner is stale if nothing was written to it for this long. */
const NAMELESS_AFTER_MS = 24 * 3600 * 1000;

/** Returns a new name below `tmp/`. Once this process has ended, others remove the file. The caller creates the folder. */
export const temporaryPath = (layout: Layout, suffix = ''): string =>
  `${tmpDir(layout)}/${toOwnedName()}${suffix}`;

/** Paths of files and folders whose makers are dead. */
export function findStaleFiles(layout: Layout): readonly string[] {
  const inTmp = below(tmpDir(layout)).filter((path) => isStale(path) || isForgotten(path));
  const folders = [layersDir, imagesDir, generationsDir, buildDir, builtDir].map((of) =>
    of(layout),
  );
  const ofPackages = below(packagesDir(layout)).flatMap(below);
  const beside = [...folders, ...below(stacksDir(layout)), ...ofPackages]
    .flatMap(below)
    .filter((path) => path.endsWith('.tmp') && isStale(path));
  return [...inTmp, ...beside];
}

const isStale = (path: string) => isStaleName(basename(path));

/** Removes what {@link findStaleFiles} finds. Any number of processes may call this at once. */
export async function clearStaleTmp(layout: Layout): Promise<void> {
  for (const path of findStaleFiles(layout)) {
    try {
      if (lstatSync(path).isDirectory()) await removeTree(path);
      else unlinkSync(path);
    } catch (error) {
      // Another process removes the path, too, or a program of the dead maker still writes into it: the next call removes it.
      if (!['ENOENT', 'ENOTEMPTY'].includes(errnoCodeOf(error) ?? '')) throw error;
    }
  }
}

function isForgotten(path: string): boolean {
  if (ownerOfName(basename(path)) !== undefined) return false;
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > NAMELESS_AFTER_MS;
}

/** Paths in a folder; empty for a file, because `stacks/` may contain files as well. */
const below = (folder: string): readonly string[] =>
  (unlessFailed(() => readdirSync(folder), ['ENOENT', 'ENOTDIR']) ?? []).map(
    (name) => `${folder}/${name}`,
  );
