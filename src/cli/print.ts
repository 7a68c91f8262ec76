/** Standard output of the commands that answer with text or JSON. */
import { descriptorSink } from './descriptor-sink.ts';

const STDOUT = 1;

/**
 * Resolves when standard output has taken everything. A reader that has gone, as `head` does, wanted no more: no error. Output that is
 * lost is one: ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM.
 */
export async function print(text: string): Promise<void> {
  await descriptorSink(STDOUT).write(Buffer.from(text));
}

export const printJson = (value: unknown): Promise<void> =>
  print(`${JSON.stringify(value, null, 2)}\n`);
