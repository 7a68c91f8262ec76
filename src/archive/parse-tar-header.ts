/** Strictly parses one 512-byte header block of a tar (POSIX ustar, old GNU, V7). */
import type { ByteString, TarEntry } from './tar-entry.ts';

export const BLOCK_BYTES = 512;

/** Padding after `size` bytes of content, to the next block. */
export const paddingOf = (size: number): number => -size & (BLOCK_BYTES - 1);

export interface TarHeader
  extends Pick<TarEntry, 'path' | 'linkTarget' | 'mode' | 'uid' | 'gid' | 'size'> {
  readonly typeflag: string;
  /** Seconds since 1970; negative before. */
  readonly mtime: number;
  /** A character device with both numbers 0. */
  readonly isZeroDevice: boolean;
}

/** The header, or the reason why it is invalid; undefined for a block of zeros, which ends an archive. */
export function parseTarHeader(block: Buffer): TarHeader | string | undefined {
  if (isZeros(block)) return undefined;
  if (!checksumMatches(block)) return 'header checksum does not match';
  const mode = parseNumber(block, 100, 8);
  const uid = parseNumber(block, 108, 8);
  const gid = parseNumber(block, 116, 8);
  const size = parseNumber(block, 124, 12);
  const mtime = parseNumber(block, 136, 12);
  if (mode === undefined || uid === undefined || gid === undefined || mtime === undefined) {
    return 'header has a field that is not a number';
  }
  if (size === undefined || size < 0) return 'header has a size that is not a number of bytes';
  const name = parseText(block, 0, 100);
  const typeflag = block.toString('latin1', 156, 157);
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isPosix ? parseText(block, 345, 155) : '';
  return {
    typeflag,
    path: prefix === '' ? name : `${prefix}/${name}`,
    linkTarget: parseText(block, 157, 100),
    mode,
    uid,
    gid,
    size,
    mtime,
    isZeroDevice:
      typeflag === '3' && parseNumber(block, 329, 8) === 0 && parseNumber(block, 337, 8) === 0,
  };
}

const ZEROS = Buffer.alloc(64 * 1024);

export function isZeros(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const window = bytes.subarray(at, at + ZEROS.length);
    if (!window.equals(ZEROS.subarray(0, window.length))) return false;
  }
  return true;
}

/** Compares the sum of all bytes, with the checksum field as spaces. Historic writers summed signed bytes. */
function checksumMatches(block: Buffer): boolean {
  const stored = parseNumber(block, 148, 8);
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  return stored === unsigned || stored === signed;
}

/** Octal digits, then spaces or NULs; or GNU's big-endian binary if the first byte's high bit is set. */
function parseNumber(block: Buffer, at: number, length: number): number | undefined {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) return parseBinary(block.subarray(at, at + length));
  const match = /^ *([0-7]*)[ \0]*$/.exec(block.toString('latin1', at, at + length));
  if (match === null) return undefined;
  return Number.parseInt(match[1] || '0', 8);
}

function parseBinary(field: Buffer): number | undefined {
  const negative = field[0] === 0xff;
  if (!negative && field[0] !== 0x80) return undefined;
  let value = 0n;
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (negative) value -= 1n << BigInt(8 * (field.length - 1));
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

function parseText(block: Buffer, at: number, length: number): ByteString {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end === -1 || end > at + length ? at + length : end);
}
