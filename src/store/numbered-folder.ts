/** The revisions of a stack or code package: `<n>.json` each, and `removed.json`, so that numbers of removed revisions are not used again. */
import { link, rm, unlink } from 'node:fs/promises';
import type { ErrorCode } from '../core/error-codes.ts';
import { type Layout, tmpDir } from '../core/layout.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { ensureDirectory, syncDirectory } from '../sys/write-file.ts';
import { temporaryPath } from './stale-files.ts';
import { nextNumber, number, readNumbers, readStoredJson, storedFields } from './stored-json.ts';
import { writeStoredJson } from './write-stored-json.ts';

const reader = storedFields<{ readonly last: number }>({ last: number });

export interface NumberedFolder {
  readonly folder: string;
  /** The owner of the revisions, for messages: `code package mailer`. */
  readonly owner: string;
  /** The error code if `removed.json` is damaged. */
  readonly code: ErrorCode;
}

const fileIn = (folder: string) => `${folder}/removed.json`;

/** Largest number of a removed revision; 0 if none was removed. Throws an error with the folder's `code`. */
export function readLastRemoved({ folder, code }: NumberedFolder): number {
  const what = 'list of removed revisions';
  return readStoredJson(fileIn(folder), { reader, code, what })?.last ?? 0;
}

/** Returns a number that no revision in the folder has or had. */
export const unusedNumber = (of: NumberedFolder): number =>
  Math.max(nextNumber(readNumbers(of.folder)), readLastRemoved(of) + 1);

/** Stores a revision durably. Precondition: the caller holds the stacks lock. */
export async function writeNumbered(
  layout: Layout,
  { folder, owner }: NumberedFolder,
  entry: { readonly revision: number },
): Promise<void> {
  await guardDisk(`write revision ${entry.revision} of ${owner}`, async () => {
    await ensureDirectory(folder, 0o700);
    await ensureDirectory(tmpDir(layout), 0o700);
    const temporary = temporaryPath(layout, '.revision');
    await writeStoredJson(temporary, entry);
    try {
      // link(2) refuses an existing name, so a stored revision is never replaced, whatever went wrong before.
      await link(temporary, `${folder}/${entry.revision}.json`);
    } finally {
      await unlink(temporary);
    }
    await syncDirectory(folder);
  });
}

/** Removes revisions. Precondition: the caller holds the stacks lock. Throws ERR_STACKSHIM_DISK_FULL if their numbers cannot be recorded. */
export async function removeNumbered(
  of: NumberedFolder,
  numbers: readonly number[],
): Promise<void> {
  if (numbers.length === 0) return;
  const last = Math.max(...numbers);
  await guardDisk(`remove revisions of ${of.owner}`, async () => {
    // Write this first: if the process dies in between, no number is used again.
    if (readLastRemoved(of) < last) await writeStoredJson(fileIn(of.folder), { last });
    for (const number of numbers) await rm(`${of.folder}/${number}.json`, { force: true });
    await syncDirectory(of.folder);
  });
}
