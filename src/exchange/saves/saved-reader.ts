/** Reads a save file from start to end as it arrives: entry by entry, with one piece in memory at a time. */
import { BLOCK_BYTES, isZeros, paddingOf, parseTarHeader } from '../../archive/parse-tar-header.ts';
import { toInvalidSave } from './saved-index.ts';

export interface SavedReader {
  /** Returns the next entry, skipping the unread rest of the last; undefined at the end of the file. */
  next(): Promise<{ readonly path: string; readonly size: number } | undefined>;
  /** The content of the current entry, in pieces. */
  content(): AsyncIterable<Buffer>;
  /** The whole content of the current entry. Throws if it is longer than `maxBytes`. */
  whole(maxBytes: number): Promise<Buffer>;
}

/** Tar programs fill the last record with zeros; the bound stops an endless input. */
const MAX_END_BYTES = 1024 * 1024;

/** All methods throw ERR_STACKSHIM_SAVE_INVALID for truncated or malformed input, and the errors of reading `input`. */
export function createSavedReader(input: AsyncIterable<Uint8Array>): SavedReader {
  const pieces = input[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let size = 0;
  let left = 0;
  let padding = 0;

  const fill = async (): Promise<boolean> => {
    while (held.length === 0) {
      const { done, value } = await pieces.next();
      if (done === true) return false;
      held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return true;
  };
  const take = async (most: number): Promise<Buffer> => {
    if (!(await fill())) throw toInvalidSave('it is cut off');
    const taken = held.subarray(0, most);
    held = held.subarray(taken.length);
    return taken;
  };
  const takeExactly = async (length: number): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      const part = await take(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  };
  const expectEnd = async (): Promise<void> => {
    if (!isZeros(await takeExactly(BLOCK_BYTES))) throw toInvalidSave('its end is malformed');
    let zeros = 0;
    while (await fill()) {
      zeros += held.length;
      if (zeros > MAX_END_BYTES || !isZeros(held)) throw toInvalidSave('more bytes follow its end');
      held = Buffer.alloc(0);
    }
  };
  async function* content(): AsyncGenerator<Buffer> {
    while (left > 0) {
      const part = await take(left);
      left -= part.length;
      yield part;
    }
  }
  return {
    async next() {
      for await (const _ of content());
      await takeExactly(padding);
      padding = 0;
      const header = parseTarHeader(await takeExactly(BLOCK_BYTES));
      if (header === undefined) {
        await expectEnd();
        return undefined;
      }
      if (typeof header === 'string') throw toInvalidSave(header);
      if (header.typeflag !== '0') throw toInvalidSave('an entry is not a regular file');
      size = header.size;
      left = size;
      padding = paddingOf(size);
      return { path: header.path, size };
    },
    content,
    async whole(maxBytes) {
      if (size > maxBytes) throw toInvalidSave(`an entry has ${size} bytes, more than ${maxBytes}`);
      const parts: Buffer[] = [];
      for await (const part of content()) parts.push(part);
      return Buffer.concat(parts);
    },
  };
}
