/** Reads a file, or standard input, that a person named on the command line: any bytes, up to a bound. */
import { open } from 'node:fs/promises';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { formatBytes } from '../print/format-quantities.ts';

interface ReadBytesOptions {
  readonly maxBytes: number;
  /** For the error's details. */
  readonly field: string;
}

/** @param path `-`: standard input. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID for more bytes. */
export async function readBytes(
  path: string,
  { maxBytes, field }: ReadBytesOptions,
): Promise<Uint8Array> {
  const name = path === '-' ? 'standard input' : path;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // One byte more than allowed shows that there is more.
    const stream =
      path === '-' ? process.stdin : (await open(path)).createReadStream({ end: maxBytes });
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk as Uint8Array);
      chunks.push(bytes);
      size += bytes.length;
      if (size > maxBytes) break;
    }
  } catch (error) {
    const message = `read ${name}: ${reasonOf(error)}`;
    const details = { field, path };
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { cause: error, details });
  }
  if (size <= maxBytes) return Buffer.concat(chunks);
  const message = `read ${name}: more than ${formatBytes(maxBytes)}`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details: { field } });
}
