/** Stores how a task ended, in its report. */

import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { errnoCodeOf, type StackshimError, toStackshimError } from '../../core/errors.ts';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { REPORT_VERSION, type ReportedEnd } from './report.ts';
import { reportPlaces } from './report-places.ts';

const DRAFT = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

/** The stored form of a file of a report. */
export const toReportText = (value: object): string =>
  `${JSON.stringify({ version: REPORT_VERSION, writtenBy: PROGRAM_VERSION, ...value })}\n`;

/** A full disk has a code of its own. */
export function toDiskError(error: unknown, operation: string): StackshimError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoCodeOf(error) ?? '');
  const code = isFull ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM';
  return toStackshimError(error, code, operation);
}

/** Replaces the end in one step. Writes into the room that the draft has, so that a full disk does not matter. */
export async function storeEnd(dir: string, end: ReportedEnd): Promise<void> {
  const { draftFile, endFile } = reportPlaces(dir);
  const bytes = Buffer.from(toReportText(end));
  const file = await open(draftFile, DRAFT, 0o600);
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, done);
      done += bytesWritten;
    }
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draftFile, endFile);
  await syncDirectory(dir).catch((error: unknown) => {
    // The end can be seen by now, so that somebody may have removed the report.
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
  });
}
