/** Standard output of the commands that answer with text or JSON. */

/** Resolves when standard output has taken everything. A reader that has gone, as `head` does, wanted no more: no error. */
export async function print(text: string): Promise<void> {
  const { stdout } = process;
  await new Promise<void>((resolve, reject) => {
    stdout.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') resolve();
      else reject(error);
    });
    stdout.write(text, () => resolve());
  });
}

export const printJson = (value: unknown): Promise<void> =>
  print(`${JSON.stringify(value, null, 2)}\n`);
