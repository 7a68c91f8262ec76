/** Standard output of the commands that answer with text or JSON, and notes on stderr. Nothing printed here can steer a terminal. */
import { toJsonText, toPrintableLines } from './printable.ts';

/** Resolves when standard output has taken everything. A reader that has gone, as `head` does, wanted no more: no error. */
export async function print(text: string): Promise<void> {
  const { stdout } = process;
  await new Promise<void>((resolve, reject) => {
    stdout.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') resolve();
      else reject(error);
    });
    stdout.write(toPrintableLines(text), () => resolve());
  });
}

export const printJson = (value: unknown): Promise<void> => print(`${toJsonText(value, 2)}\n`);

/** The same in one line. */
export const printJsonLine = (value: unknown): Promise<void> => print(`${toJsonText(value)}\n`);

/** Lines for people on stderr, between those of a view of progress. */
export function printNote(text: string): void {
  process.stderr.write(toPrintableLines(text));
}
