/** Reads what a runtime said in its JSON log. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { parseJson } from '../core/read-fields.ts';

/** Room for the few lines that matter; a runtime may have logged much more. */
const TAIL_BYTES = 8192;

/** The end of a runtime's log, at most 8 KiB; empty when there is no log. */
export function readLogTail(logFile: string): string {
  const fd = unlessMissing(() => openSync(logFile, 'r'));
  if (fd === undefined) return '';
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(fd, tail, 0, tail.length, Math.max(0, size - TAIL_BYTES));
    return tail.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/** The text of the last error in a runtime's JSON log lines; of the last line of any level when none is an error. */
export function lastLogMessage(tail: string): string | undefined {
  let last: string | undefined;
  let lastError: string | undefined;
  for (const line of tail.split('\n')) {
    const entry = parseEntry(line);
    if (entry === undefined) continue;
    last = entry.message;
    if (entry.isError) lastError = entry.message;
  }
  return lastError ?? last;
}

function parseEntry(
  line: string,
): { readonly message: string; readonly isError: boolean } | undefined {
  // The first line may be cut, and a crashing runtime writes plain text.
  if (!line.startsWith('{') || !line.endsWith('}')) return undefined;
  const value = parseJson(line);
  if (typeof value !== 'object' || value === null || !('msg' in value)) return undefined;
  if (typeof value.msg !== 'string') return undefined;
  const level = 'level' in value ? value.level : undefined;
  return { message: value.msg, isError: level === 'error' || level === 'fatal' };
}
