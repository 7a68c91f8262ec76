/** Writes what a program reads. */
import type { Writable } from 'node:stream';

/**
 * Writes `input` to a program's standard input, as fast as it reads, and closes that at the end. Resolves also when the program reads no more:
 * its exit tells why. Rejects with what reading `input` throws.
 */
export async function feedProgram(
  input: AsyncIterable<Uint8Array>,
  stdin: Writable,
): Promise<void> {
  for await (const chunk of input) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await untilWritable(stdin);
  }
  stdin.end();
}

/** Resolves when `stdin` takes more, or never will again. */
function untilWritable(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stdin.off('drain', settle);
      stdin.off('close', settle);
      resolve();
    };
    stdin.on('drain', settle);
    stdin.on('close', settle);
    if (stdin.destroyed) settle();
  });
}
