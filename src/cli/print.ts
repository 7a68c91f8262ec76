/** Standard output of the commands that answer with text or JSON, and notes on stderr. Nothing printed here can steer a terminal. */
import { descriptorSink } from './descriptor-sink.ts';
import { toJsonText, toPrintableLines } from './printable.ts';

const STDOUT = 1;

/**
 * Resolves when standard output has taken everything. A reader that has gone, as `head` does, wanted no more: no error. Output that is
 * lost is one: ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM.
 */
export async function print(text: string): Promise<void> {
  await descriptorSink(STDOUT).write(Buffer.from(toPrintableLines(text)));
}

export const printJson = (value: unknown): Promise<void> => print(`${toJsonText(value, 2)}\n`);

/** The same in one line. */
export const printJsonLine = (value: unknown): Promise<void> => print(`${toJsonText(value)}\n`);

/** Lines for people on stderr, between those of a view of progress. */
export function printNote(text: string): void {
  process.stderr.write(toPrintableLines(text));
}
