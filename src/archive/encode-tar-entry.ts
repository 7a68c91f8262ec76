/** Writes entries as a tar that `mkfs.erofs` reads as intended: ustar headers, and PAX records for values they cannot hold. */
import { MAX_PAX_BYTES } from './archive-limits.ts';
import { BLOCK_BYTES, paddingOf } from './parse-tar-header.ts';
import { type ByteString, EMPTY_FILE, type TarEntry } from './tar-entry.ts';

const TYPEFLAGS: Readonly<Record<Exclude<TarEntry['kind'], 'device'>, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  directory: '5',
  fifo: '6',
};

const MAX_OCTAL_8 = 0o7777777;
const MAX_OCTAL_12 = 0o77777777777;

/** The two blocks of zeros that end a tar. */
export const TAR_TRAILER = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * The entry's header, after a PAX header if needed. Cannot encode devices.
 * @param more Further records of the PAX header, from {@link encodePaxRecord}.
 */
export function encodeTarEntry(entry: TarEntry, more: readonly Buffer[] = []): readonly Buffer[] {
  if (entry.kind === 'device') throw new Error('a device cannot be encoded');
  const path = entry.kind === 'directory' ? `${entry.path === '' ? '.' : entry.path}/` : entry.path;
  const records = [...paxRecordsOf(entry, path), ...more];
  const header = encodeHeader(TYPEFLAGS[entry.kind], { ...entry, path });
  if (records.length === 0) return [header];
  const body = Buffer.concat(records);
  if (body.length > MAX_PAX_BYTES) throw new Error('a PAX header became too long');
  const paxHeader = encodeHeader('x', { ...EMPTY_FILE, path: 'pax', size: body.length });
  return [paxHeader, body, Buffer.alloc(paddingOf(body.length)), header];
}

/** The header of a regular file owned by root. */
export const encodeFileHeader = (path: string, size: number, mode: number): Buffer =>
  Buffer.concat(encodeTarEntry({ ...EMPTY_FILE, path, mode, size }));

function paxRecordsOf(entry: TarEntry, path: ByteString): readonly Buffer[] {
  const records: Buffer[] = [];
  const { linkTarget, uid, gid, size, mtime } = entry;
  if (path.length > 100) records.push(encodePaxRecord('path', path));
  if (linkTarget.length > 100) records.push(encodePaxRecord('linkpath', linkTarget));
  if (size > MAX_OCTAL_12) records.push(encodePaxRecord('size', String(size)));
  if (uid > MAX_OCTAL_8) records.push(encodePaxRecord('uid', String(uid)));
  if (gid > MAX_OCTAL_8) records.push(encodePaxRecord('gid', String(gid)));
  if (mtime.nanoseconds > 0 || mtime.seconds > MAX_OCTAL_12) {
    // mkfs.erofs reads the fraction as an integer of nanoseconds, so write all nine digits.
    const fraction = String(mtime.nanoseconds).padStart(9, '0');
    records.push(encodePaxRecord('mtime', `${mtime.seconds}.${fraction}`));
  }
  for (const [name, value] of entry.xattrs) {
    records.push(encodePaxRecord(`SCHILY.xattr.${name}`, value));
  }
  return records;
}

/** `<length> <key>=<value>`, then a line feed; the length counts its own digits. */
export function encodePaxRecord(key: ByteString, value: ByteString | Buffer): Buffer {
  const content = Buffer.concat([
    Buffer.from(` ${key}=`, 'latin1'),
    typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
    Buffer.from('\n'),
  ]);
  let length = content.length + 1;
  while (String(length).length + content.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), content]);
}

function encodeHeader(typeflag: string, entry: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const writeOctal = (at: number, length: number, value: number) => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  block.write(entry.path.slice(0, 100), 0, 'latin1');
  writeOctal(100, 8, entry.mode);
  writeOctal(108, 8, Math.min(entry.uid, MAX_OCTAL_8));
  writeOctal(116, 8, Math.min(entry.gid, MAX_OCTAL_8));
  writeOctal(124, 12, Math.min(entry.size, MAX_OCTAL_12));
  writeOctal(136, 12, Math.min(entry.mtime.seconds, MAX_OCTAL_12));
  block.write('        ', 148, 'latin1');
  block.write(typeflag, 156, 'latin1');
  block.write(entry.linkTarget.slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  writeOctal(148, 8, sum);
  return block;
}
