/** Reads a file, or standard input, that the command line names: any bytes, up to a bound. */
import { open } from 'node:fs/promises';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { formatBytes } from '../print/format-quantities.ts';

const MAX_BYTES = 1_048_576;

/**
 * Reads at most 1 MiB. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID for more bytes.
 *
 * @param path `-`: standard input.
 * @param field For the error's details.
 */
export async function readBytes(path: string, field: string): Promise<Uint8Array> {
  const name = path === '-' ? 'standard input' : path;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // `end` is inclusive: the stream returns one byte more than allowed if there is more.
    const stream =
      path === '-' ? process.stdin : (await open(path)).createReadStream({ end: MAX_BYTES });
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk as Uint8Array);
      chunks.push(bytes);
      size += bytes.length;
      if (size > MAX_BYTES) break;
    }
  } catch (error) {
    const message = `read ${name}: ${reasonOf(error)}`;
    const details = { field, path };
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { cause: error, details });
  }
  if (size <= MAX_BYTES) return Buffer.concat(chunks);
  const message = `read ${name}: more than ${formatBytes(MAX_BYTES)}`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details: { field } });
}
