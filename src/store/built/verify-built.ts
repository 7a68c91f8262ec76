/** Reads every cached build completely and compares it with its record. */
import { lstatSync } from 'node:fs';
import { messageOf, StackshimError } from '../../core/errors.ts';
import type { BuildKey } from '../../core/ids.ts';
import { builtFile, type Layout } from '../../core/layout.ts';
import { readBoundedFile } from '../../sys/files.ts';
import { type BuiltRecord, MAX_BUILT_BYTES, parseBuiltRecord } from './built-record.ts';
import { listBuilt } from './collect-built.ts';
import { requireSoundParts, toCorruptBuilt } from './mount-built.ts';

export interface VerifiedBuilt {
  /** Number of builds with a record. */
  readonly count: number;
  readonly bytes: number;
  /** One ERR_STACKSHIM_BUILT_CORRUPT with `details.path` for each damaged build. */
  readonly damage: readonly StackshimError[];
}

/** Verifies the cache without changing it. Builds stored or collected meanwhile are not damage. Throws the reason of an aborted `signal`. */
export async function verifyBuilt(layout: Layout, signal?: AbortSignal): Promise<VerifiedBuilt> {
  const damage: StackshimError[] = [];
  let count = 0;
  let bytes = 0;
  for (const { key, sizeBytes } of listBuilt(layout)) {
    const path = builtFile(layout, key, 'json');
    const before = inodeOf(path);
    if (before === undefined) continue;
    count += 1;
    bytes += sizeBytes;
    try {
      const { parts } = readRecord(layout, key);
      if (parts !== null) await requireSoundParts(layout, key, { parts, signal });
    } catch (error) {
      if (!(error instanceof StackshimError)) throw error;
      if (inodeOf(path) === before) damage.push(error);
    }
  }
  return { count, bytes, damage };
}

const inodeOf = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.ino;

function readRecord(layout: Layout, key: BuildKey): BuiltRecord {
  const path = builtFile(layout, key, 'json');
  try {
    const record = parseBuiltRecord(readBoundedFile(path, { maxBytes: MAX_BUILT_BYTES }));
    if (record.key !== key) throw new Error(`describes build ${record.key}`);
    return record;
  } catch (error) {
    throw toCorruptBuilt(path, messageOf(error), error);
  }
}
