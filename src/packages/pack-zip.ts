/** Reads a zip of code as a clean tar. */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { type Entry, fromFdPromise, type ZipFile } from 'yauzl';
import type { ArchiveCleaner } from '../archive/archive-cleaner.ts';
import { type ArchiveLimits, MAX_LINK_BYTES, RATIO_FREE_BYTES } from '../archive/archive-limits.ts';
import { toArchiveTooLarge, toInvalidArchive } from '../archive/archive-policy.ts';
import { type EntryKind, NO_XATTRS, type TarEntry, toByteString } from '../archive/tar-entry.ts';
import { errnoCodeOf, toStackshimError } from '../core/errors.ts';
import { type CleanCode, CODE_POLICY, toCleanCode } from './code-policy.ts';

export interface PackZipOptions {
  readonly limits: ArchiveLimits;
  readonly cleaner: ArchiveCleaner;
  /** Size of the zip file. */
  readonly sizeBytes: number;
}

/** `versionMadeBy` of systems with Unix modes: Unix and macOS. */
const UNIX_MAKERS: ReadonlySet<number> = new Set([3, 19]);
const KIND_BITS = 0o170000;
const KINDS: ReadonlyMap<number, EntryKind> = new Map([
  [0, 'file'],
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o010000, 'fifo'],
  [0o020000, 'device'],
  [0o060000, 'device'],
]);

/** Reads the entries from `handle`, which the caller closes. */
export function packZip(handle: FileHandle, options: PackZipOptions): CleanCode {
  return toCleanCode(options.cleaner, packChecked(handle, options));
}

async function* packChecked(handle: FileHandle, options: PackZipOptions): AsyncGenerator<Buffer> {
  try {
    yield* packEntries(handle, options);
  } catch (error) {
    // A failing disk is not the archive's fault.
    if (errnoCodeOf(error) !== undefined) throw error;
    throw toStackshimError(error, CODE_POLICY.invalidCode, 'read zip file');
  }
}

async function* packEntries(
  handle: FileHandle,
  { limits, cleaner, sizeBytes }: PackZipOptions,
): AsyncGenerator<Buffer> {
  const zip = await fromFdPromise(handle.fd, { autoClose: false });
  if (zip.entryCount > limits.entries) {
    throw toArchiveTooLarge(CODE_POLICY, 'entries', limits.entries);
  }
  let totalBytes = 0;
  for await (const entry of zip.eachEntry()) {
    totalBytes += entry.uncompressedSize;
    if (totalBytes > limits.bytes) throw toArchiveTooLarge(CODE_POLICY, 'bytes', limits.bytes);
    if (totalBytes > RATIO_FREE_BYTES && totalBytes > sizeBytes * limits.ratio) {
      throw toArchiveTooLarge(CODE_POLICY, 'bytes from each packed byte', limits.ratio);
    }
    const made = toEntry(entry);
    if (made.kind === 'symlink') {
      cleaner.entry({ ...made, size: 0, linkTarget: await readLinkTarget(zip, entry) });
      continue;
    }
    cleaner.entry(made);
    if (made.size === 0) continue;
    for await (const chunk of readContent(zip, entry)) {
      cleaner.data(chunk);
      const ready = cleaner.take();
      if (ready !== undefined) yield ready;
    }
  }
}

function toEntry(entry: Entry): TarEntry {
  const path = toByteString(entry.fileName);
  if (entry.isEncrypted()) throw toInvalidArchive(CODE_POLICY, 'is encrypted', path);
  if (!entry.canDecodeFileData()) {
    const reason = `is compressed in a way that is not known (${entry.compressionMethod})`;
    throw toInvalidArchive(CODE_POLICY, reason, path);
  }
  const isUnix = UNIX_MAKERS.has(entry.versionMadeBy >>> 8);
  const unixMode = isUnix ? entry.externalFileAttributes >>> 16 : 0;
  const named = entry.fileName.endsWith('/') ? 'directory' : undefined;
  const kind = named ?? KINDS.get(unixMode & KIND_BITS);
  if (kind === undefined) throw toInvalidArchive(CODE_POLICY, 'is of an unknown type', path);
  if (kind !== 'file' && kind !== 'symlink' && entry.uncompressedSize > 0) {
    throw toInvalidArchive(CODE_POLICY, `${kind} with content`, path);
  }
  const mode = unixMode & 0o7777;
  // NaN for an impossible date.
  const seconds = Math.floor(entry.getLastModDate({ timezone: 'UTC' }).getTime() / 1000) || 0;
  return {
    kind,
    path,
    mode: mode === 0 ? (kind === 'directory' ? 0o755 : 0o644) : mode,
    uid: 0,
    gid: 0,
    mtime: { seconds: Math.max(0, seconds), nanoseconds: 0 },
    size: entry.uncompressedSize,
    linkTarget: '',
    xattrs: NO_XATTRS,
  };
}

async function readLinkTarget(zip: ZipFile, entry: Entry): Promise<string> {
  if (entry.uncompressedSize > MAX_LINK_BYTES) {
    const reason = `symbolic link of more than ${MAX_LINK_BYTES} bytes`;
    throw toInvalidArchive(CODE_POLICY, reason, toByteString(entry.fileName));
  }
  const pieces: Buffer[] = [];
  for await (const chunk of readContent(zip, entry)) pieces.push(chunk);
  return Buffer.concat(pieces).toString('latin1');
}

/** Passes on exactly as many bytes as announced, and verifies their checksum. */
async function* readContent(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer> {
  const path = toByteString(entry.fileName);
  let checksum = 0;
  let readBytes = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    const bytes = chunk as Buffer;
    readBytes += bytes.length;
    checksum = crc32(bytes, checksum);
    if (readBytes > entry.uncompressedSize) break;
    yield bytes;
  }
  if (readBytes !== entry.uncompressedSize) {
    throw toInvalidArchive(CODE_POLICY, 'content does not have the announced length', path);
  }
  if (checksum !== entry.crc32) {
    throw toInvalidArchive(CODE_POLICY, 'content does not match its checksum', path);
  }
}
