/** Stores the outcome of a build step: first the files and the log, last the record. */
import { rename } from 'node:fs/promises';
import type { BuildKey } from '../../core/ids.ts';
import { builtDir, builtFile, type Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { ensureDirectory, syncFile, writeFileAtomic } from '../../sys/write-file.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { type BuiltRecord, PARTS, type PartName } from './built-record.ts';
import { partFile } from './mount-built.ts';

export const makeBuiltDir = (layout: Layout): Promise<void> =>
  guardDisk(`make ${builtDir(layout)}`, () => ensureDirectory(builtDir(layout), 0o700));

/** Stores the log of a build step, replacing an earlier log of the same key. Returns its path. */
export async function storeBuildLog(layout: Layout, key: BuildKey, log: string): Promise<string> {
  const path = builtFile(layout, key, 'log');
  await guardDisk(`write ${path}`, () => writeFileAtomic(path, log, { durable: false }));
  return path;
}

/**
 * Stores a record; with `files`, first moves the files of its parts into the cache. Durable: after a power cut, the files of a stored record are
 * whole. Precondition: the caller holds the build's lock.
 */
export async function storeBuilt(
  layout: Layout,
  record: BuiltRecord,
  files: Readonly<Record<PartName, string>> | undefined,
): Promise<void> {
  const { key } = record;
  await guardDisk(`store the build ${key}`, async () => {
    if (files === undefined) return;
    for (const part of PARTS) {
      await syncFile(files[part]);
      await rename(files[part], partFile(layout, key, part));
    }
  });
  await writeStoredJson(builtFile(layout, key, 'json'), record);
}
