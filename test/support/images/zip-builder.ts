/** Writes zips field by field for tests, including malformed ones. Shares no code with the tested reader. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface RawZipEntry {
  readonly name: string;
  readonly content?: string | Buffer;
  /** `false`: stored without compression. */
  readonly deflate?: boolean;
  /** Unix mode including type bits; by default the zip is marked as made on MS-DOS, without modes. */
  readonly mode?: number;
  /** General purpose bits in addition to the one for UTF-8; bit 0 means encrypted. */
  readonly flags?: number;
  readonly method?: number;
  /** Values to write in place of the right ones. */
  readonly crc?: number;
  readonly uncompressedSize?: number;
}

/** 2020-02-02 02:02:02. */
const DOS_TIME = (2 << 11) | (2 << 5) | 1;
const DOS_DATE = (40 << 9) | (2 << 5) | 2;

export function buildZip(...entries: readonly RawZipEntry[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { name, fields, data } = toFields(entry);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    fields.copy(local, 4);
    bodies.push(local, name, data);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(entry.mode === undefined ? 20 : (3 << 8) | 20, 4);
    fields.copy(central, 6);
    central.writeUInt32LE(((entry.mode ?? 0) << 16) >>> 0, 38);
    central.writeUInt32LE(offset, 42);
    directory.push(central, name);
    offset += local.length + name.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, central, end]);
}

/** The common part of the local and the central header, from "version needed" to the lengths. */
function toFields(entry: RawZipEntry): { name: Buffer; fields: Buffer; data: Buffer } {
  const name = Buffer.from(entry.name);
  const content = Buffer.from(entry.content ?? '');
  const deflate = entry.deflate ?? true;
  const data = deflate ? deflateRawSync(content) : content;
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(0x800 | (entry.flags ?? 0), 2);
  fields.writeUInt16LE(entry.method ?? (deflate ? 8 : 0), 4);
  fields.writeUInt16LE(DOS_TIME, 6);
  fields.writeUInt16LE(DOS_DATE, 8);
  fields.writeUInt32LE(entry.crc ?? crc32(content), 10);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(entry.uncompressedSize ?? content.length, 18);
  fields.writeUInt16LE(name.length, 22);
  return { name, fields, data };
}
