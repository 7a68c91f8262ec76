/** Writes to standard output for commands that answer with text or JSON, and notes to stderr. Nothing printed here can control a terminal. */
import { descriptorSink } from './descriptor-sink.ts';
import { toJsonText, toPrintableLines } from './printable.ts';

const STDOUT = 1;

/**
 * Resolves when standard output has taken everything. A reader that has gone, as `head` does, is not an error. Output that cannot be written
 * is: ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM.
 */
export async function print(text: string): Promise<void> {
  await descriptorSink(STDOUT).write(Buffer.from(toPrintableLines(text)));
}

export const printJson = (value: unknown): Promise<void> => print(`${toJsonText(value, 2)}\n`);

/** Prints JSON on one line. */
export const printJsonLine = (value: unknown): Promise<void> => print(`${toJsonText(value)}\n`);

/** Prints lines for people on stderr, between those of a progress view. */
export function printNote(text: string): void {
  process.stderr.write(toPrintableLines(text));
}
