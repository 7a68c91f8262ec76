/** Reads a file, or standard input, that a person named on the command line: any bytes, up to a bound. */
import { open } from 'node:fs/promises';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { formatBytes } from '../print/format-quantities.ts';

export interface ReadBytesOptions {
  readonly maxBytes: number;
  /** For the error's details. */
  readonly field: string;
}

/** @param path `-`: standard input. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID for more bytes. */
export async function readBytes(path: string, options: ReadBytesOptions): Promise<Uint8Array> {
  const { maxBytes, field } = options;
  const bytes = await readUpTo(path, options);
  if (bytes.length <= maxBytes) return bytes;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read ${nameOf(path)}: more than ${formatBytes(maxBytes)}`,
    { details: { field } },
  );
}

const nameOf = (path: string) => (path === '-' ? 'standard input' : path);

/** One byte more than allowed shows that there is more. */
async function readUpTo(path: string, { maxBytes, field }: ReadBytesOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const stream =
      path === '-' ? process.stdin : (await open(path)).createReadStream({ end: maxBytes });
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk as Uint8Array);
      chunks.push(bytes);
      size += bytes.length;
      if (size > maxBytes) break;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      `read ${nameOf(path)}: ${reasonOf(error)}`,
      { cause: error, details: { field, path } },
    );
  }
}
