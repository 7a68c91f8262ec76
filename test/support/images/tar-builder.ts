/** Writes tars field by field for tests, including malformed ones. Shares no code with the tested reader. */

export interface RawEntry {
  readonly path: string | Buffer;
  /** `0` file, `1` hard link, `2` symlink, `3`/`4` device, `5` folder, `6` fifo, or anything else. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** The size field; by default the length of the content. Bytes are written unchanged. */
  readonly size?: number | Buffer;
  readonly prefix?: string;
  /** Field 257-264; `ustar\0` and `00` by default. */
  readonly magic?: string;
  /** A checksum to write in place of the right one. */
  readonly checksum?: number;
  /** PAX records in a header in front of the entry. */
  readonly pax?: readonly (readonly [string, string | Buffer])[];
}

const BLOCK = 512;

export const END_OF_TAR = Buffer.alloc(2 * BLOCK);

/** Writes entries one after the other, then the end marker. */
export function buildTar(...entries: readonly (RawEntry | Buffer)[]): Buffer {
  return Buffer.concat([...entries.map(toBlocks), END_OF_TAR]);
}

/** The blocks of one entry; prepared bytes pass through. */
export function toBlocks(entry: RawEntry | Buffer): Buffer {
  if (Buffer.isBuffer(entry)) return entry;
  const content = toBuffer(entry.content ?? '');
  const pieces = [buildHeader(entry, content.length), content, padding(content.length)];
  if (entry.pax !== undefined) pieces.unshift(buildPaxHeader(entry.pax));
  return Buffer.concat(pieces);
}

/** A PAX header: for the next entry (`x`) or for all following ones (`g`). */
export function buildPaxHeader(
  records: readonly (readonly [string, string | Buffer])[],
  type = 'x',
): Buffer {
  return buildExtension(type, Buffer.concat(records.map(([key, value]) => paxRecord(key, value))));
}

/** A header of type `x`, `g`, `L` or `K` with any body. */
export function buildExtension(type: string, body: Buffer): Buffer {
  return Buffer.concat([
    buildHeader({ path: '././@LongLink', type }, body.length),
    body,
    padding(body.length),
  ]);
}

function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), toBuffer(value), Buffer.from('\n')]);
  for (let digits = 1; ; digits++) {
    const total = rest.length + digits;
    if (String(total).length === digits) return Buffer.concat([Buffer.from(`${total}`), rest]);
  }
}

function buildHeader(entry: RawEntry, contentBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  toBuffer(entry.path).copy(block, 0, 0, 100);
  octal(entry.mode ?? 0o644, 8).copy(block, 100);
  octal(entry.uid ?? 0, 8).copy(block, 108);
  octal(entry.gid ?? 0, 8).copy(block, 116);
  const size = entry.size ?? contentBytes;
  (Buffer.isBuffer(size) ? size : octal(size, 12)).copy(block, 124);
  octal(entry.mtime ?? 1_700_000_000, 12).copy(block, 136);
  block.write(entry.type ?? '0', 156, 1, 'latin1');
  toBuffer(entry.link ?? '').copy(block, 157, 0, 100);
  block.write(entry.magic ?? 'ustar\x0000', 257, 8, 'latin1');
  block.write(entry.prefix ?? '', 345, 155, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  octal(entry.checksum ?? sum, 8).copy(block, 148);
  return block;
}

/** Big-endian binary, as GNU tar writes numbers too large for octal digits. */
export function binaryNumber(value: bigint, length = 12): Buffer {
  const field = Buffer.alloc(length);
  let rest = value;
  for (let at = length - 1; at > 0; at--) {
    field[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  field[0] = value < 0n ? 0xff : 0x80;
  return field;
}

const octal = (value: number, length: number) =>
  Buffer.from(`${value.toString(8).padStart(length - 1, '0')}\0`);
const padding = (bytes: number) => Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);
const toBuffer = (value: string | Buffer) => (Buffer.isBuffer(value) ? value : Buffer.from(value));
