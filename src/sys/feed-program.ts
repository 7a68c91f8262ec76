import type { Writable } from 'node:stream';

/**
 * Writes `input` to a program's standard input as fast as the program reads, then closes it. Also resolves when the program stops reading:
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

/** Resolves when `stdin` can be written again, or is closed. */
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
