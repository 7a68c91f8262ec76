/** Stores in a task's report how the task ended. */

import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import {
  type ErrorJson,
  errnoCodeOf,
  type StackshimError,
  tolerate,
  toStackshimError,
} from '../../core/errors.ts';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import type { TaskResult } from '../result.ts';
import { REPORT_VERSION, type ReportedEnd } from './report.ts';
import { reportPlaces } from './report-places.ts';

const DRAFT = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

/** The text of a report's file. */
export const toReportText = (value: object): string =>
  `${JSON.stringify({ version: REPORT_VERSION, writtenBy: PROGRAM_VERSION, ...value })}\n`;

const isFull = (error: unknown) => ['ENOSPC', 'EDQUOT'].includes(errnoCodeOf(error) ?? '');

/** A full disk has an error code of its own. */
export function toDiskError(error: unknown, operation: string): StackshimError {
  const code = isFull(error) ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM';
  return toStackshimError(error, code, operation);
}

/** Size of the preallocated draft: enough for every result without long lists. */
export const DRAFT_BYTES = 16_384;

/** Replaces the end atomically, in the space of the draft, so that a full disk does not matter: a longer result is shortened if it does not fit. */
export async function storeEnd(dir: string, end: ReportedEnd): Promise<void> {
  const { draftFile, endFile } = reportPlaces(dir);
  try {
    await writeDraft(draftFile, toReportText(end));
  } catch (error) {
    if (end.result === null || !isFull(error)) throw error;
    const toText = (result: TaskResult) => toReportText({ ...end, result });
    const fits = (short: TaskResult) => Buffer.byteLength(toText(short)) <= DRAFT_BYTES;
    await writeDraft(draftFile, toText(shortenResult(end.result, fits)));
  }
  await rename(draftFile, endFile);
  // The end is visible by now, so somebody may have removed the report.
  await syncDirectory(dir).catch(tolerate('ENOENT'));
}

async function writeDraft(draftFile: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
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
}

/** Numbers of entries to keep of each list; the first that makes the result small enough is used. */
const KEPT = [100, 10, 1, 0];
const TEXT_CHARS = 500;

/** Shortens a result for a full disk: keeps the first entries of callers' and tasks' lists and 500 characters of texts, and sets `shortened`. */
function shortenResult(result: TaskResult, fits: (short: TaskResult) => boolean): TaskResult {
  const shorts = KEPT.map((count) => keepFirst(result, count));
  return shorts.find(fits) ?? keepFirst(result, 0);
}

function keepFirst(result: TaskResult, count: number): TaskResult {
  const { build, outputs, execs, leftovers, error, output } = result;
  const { log } = output;
  return {
    ...result,
    error: shortenError(error),
    output:
      log === undefined ? output : { ...output, log: { ...log, error: shortenError(log.error) } },
    ...withoutUndefined({
      build: build && { ...build, logTail: build.logTail.slice(-TEXT_CHARS) },
      execs: execs?.slice(0, count),
      outputs: outputs?.slice(0, count).map((one) => ({
        ...one,
        taken: one.taken.slice(0, count),
        leftOut: one.leftOut.slice(0, count),
        error: shortenError(one.error),
      })),
    }),
    leftovers: leftovers.slice(0, count),
    shortened: true,
  };
}

function shortenError(error: ErrorJson | null): ErrorJson | null {
  if (error === null) return null;
  const { code, kind, hint, message } = error;
  return { code, kind, message: message.slice(0, TEXT_CHARS), hint, details: {} };
}
