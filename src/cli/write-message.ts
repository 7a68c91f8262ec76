/** Messages on a descriptor, without what `process.stderr` costs. */
import { writeSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { toPrintableLines } from './printable.ts';

/** Writes a short message at once, nothing in it steers a terminal; a reader that has gone misses it. */
export function writeMessage(fd: number, text: string): void {
  try {
    writeSync(fd, toPrintableLines(text));
  } catch (error) {
    if (!['EPIPE', 'EAGAIN'].includes(errnoCodeOf(error) ?? '')) throw error;
  }
}
