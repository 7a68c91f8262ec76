/** Prints text or JSON on standard output, and notes on stderr. Only `draw` of a printer can control the terminal. */
import type { JsonOption } from '../define/shared-options.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';
import { toJsonText, toPrintableLines } from './printable.ts';
import { openStderr, STDOUT } from './terminal.ts';

/**
 * Resolves when standard output has taken everything. A reader that closes early, as `head` does, is not an error. Rejects with
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM if the output cannot be written.
 */
export async function print(text: string): Promise<void> {
  await descriptorSink(STDOUT).write(Buffer.from(toPrintableLines(text)));
}

export const printJson = (value: unknown): Promise<void> => print(`${toJsonText(value, 2)}\n`);

/** Prints the answer of a command: as JSON with `--json`, otherwise as text. */
export const printAnswer = <T>(
  answer: T,
  { json }: JsonOption,
  toText: (answer: T) => string,
): Promise<void> => (json ? printJson(answer) : print(toText(answer)));

/** Prints JSON on one line. */
export const printJsonLine = (value: unknown): Promise<void> => print(`${toJsonText(value)}\n`);

/** For a command that prints until it is stopped. @param onGone Called once, when the reader of the output has gone. */
export function openPrinter(onGone: () => void) {
  const sink = descriptorSink(STDOUT, onGone);
  /** Writes the text unchanged: it may control the terminal. Untrusted parts must be printable already. */
  const draw = async (text: string) => await sink.write(Buffer.from(text));
  return {
    draw,
    print: (text: string) => draw(toPrintableLines(text)),
    printJsonLine: (value: unknown) => draw(toPrintableLines(`${toJsonText(value)}\n`)),
  };
}

/** Prints lines for people on stderr, between those of a progress view. */
export function printNote(text: string): void {
  openStderr().write(toPrintableLines(text));
}
