/** Messages on standard error, without what `process.stderr` costs. */
import { writeSync } from 'node:fs';
import { toPrintableLines } from './printable.ts';

const STDERR = 2;

/**
 * Writes a message at once, nothing in it steers a terminal. It is for people, and where standard error does not take it there is
 * nobody left to tell: the exit status says the rest.
 */
export function writeMessage(text: string): void {
  try {
    writeSync(STDERR, toPrintableLines(text));
  } catch {
    // See above.
  }
}
