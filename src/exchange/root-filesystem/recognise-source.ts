/** Finds out what a path leads to: a root filesystem, as a folder or a tar, or an image. Looks at content, not at names of files. */
import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { toArchiveTooLarge } from '../../archive/archive-policy.ts';
import { BLOCK_BYTES, parseTarHeader } from '../../archive/parse-tar-header.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import { createTarParser, type TarParser } from '../../archive/tar-parser.ts';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { fdPath, O_PATH, toAbsolute } from '../../sys/paths.ts';
import {
  type ArchiveHost,
  readStart,
  requireReadable,
  toCompression,
} from '../archives/open-archive.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';
import { ROOTFS_POLICY } from './rootfs-policy.ts';
import { collectTopNames, type SourceKind, type TopNames } from './top-names.ts';

/** An open root filesystem; the caller closes it. */
export interface RootfsSource {
  /** For messages. */
  readonly name: string;
  readonly file: FileHandle;
  /** Undefined for a folder. */
  readonly tar: { readonly compression: Compression; readonly sizeBytes: number } | undefined;
}

export type RecognisedSource =
  | { readonly kind: 'rootfs'; readonly source: RootfsSource }
  | { readonly kind: 'oci' | 'oci-archive' | 'docker-archive' };

export interface SourcePlace {
  readonly path: string;
  /** For messages: the path, or `standard input`. */
  readonly name: string;
  /** True: it is a root filesystem, whatever it looks like. */
  readonly isRootfs: boolean;
}

/**
 * Opens the path and looks. Links at the end of the path are followed; nothing but folders and regular files is opened. The filesystem may be
 * another user's and never answer: an abort ends the wait for it. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_IMAGE_INVALID (neither a
 * root filesystem nor an image, or both).
 */
export async function recogniseSource(
  host: ArchiveHost,
  place: SourcePlace,
): Promise<RecognisedSource> {
  const { signal } = host;
  const looking = look(host, place);
  try {
    return await unlessAborted(looking, signal === undefined ? [] : [signal]);
  } catch (error) {
    looking.then(closeFound).catch(() => undefined);
    throw error;
  }
}

async function closeFound(found: RecognisedSource): Promise<void> {
  if (found.kind === 'rootfs') await found.source.file.close();
}

async function look(host: ArchiveHost, place: SourcePlace): Promise<RecognisedSource> {
  const { name, isRootfs } = place;
  const file = await openSource(place);
  let isKept = false;
  try {
    const stats = await file.stat();
    const tar = stats.isDirectory()
      ? undefined
      : { ...(await lookAtTar(file, place)), sizeBytes: stats.size };
    if (!isRootfs) {
      const kind =
        tar === undefined ? await readFolderKind(file) : await readTarKind(host, file, tar);
      const image = toImageKind(kind, { place, isFolder: tar === undefined });
      if (image !== undefined) return { kind: image };
    }
    isKept = true;
    return { kind: 'rootfs', source: { name, file, tar } };
  } finally {
    if (!isKept) await file.close();
  }
}

const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

async function openSource({ path, name }: SourcePlace): Promise<FileHandle> {
  const details = { path };
  try {
    const found = await open(toAbsolute(path), O_PATH);
    try {
      const stats = await found.stat();
      if (stats.isFile() || stats.isDirectory()) return await open(fdPath(found.fd), READ);
    } finally {
      await found.close();
    }
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `open ${name}: ${reasonOf(error)}`, {
      hint: 'name a folder, a tar, or an image: oci:DIR, oci-archive:FILE, docker-archive:FILE, docker://HOST/NAME:TAG',
      details,
      cause: error,
    });
  }
  throw new StackshimError(
    'ERR_STACKSHIM_INPUT_NOT_FOUND',
    `open ${name}: neither a folder nor a regular file`,
    {
      hint: 'to import what another program writes, pipe it to stackshim stack import NAME -',
      details,
    },
  );
}

async function lookAtTar(
  file: FileHandle,
  { name }: SourcePlace,
): Promise<{ readonly compression: Compression }> {
  const start = await readStart(file);
  requireReadable(name, start);
  const compression = toCompression(start);
  if (compression !== 'none' || (await startsAsTar(file))) return { compression };
  throw toInvalid(`open ${name}: neither a folder nor a tar archive`, {
    hint: 'give a folder, or a tar that is not compressed or compressed with gzip, zstd or xz',
  });
}

async function startsAsTar(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
  return bytesRead === BLOCK_BYTES && typeof parseTarHeader(buffer) !== 'string';
}

async function readFolderKind(folder: FileHandle): Promise<SourceKind> {
  const names = collectTopNames();
  for await (const { name } of await opendir(fdPath(folder.fd), { encoding: 'latin1' })) {
    names.add(name);
  }
  return names.kind();
}

/** Reads up to the first name that no image has; the import sees the rest. Of a plain tar only headers are read. */
async function readTarKind(
  host: ArchiveHost,
  file: FileHandle,
  { compression }: NonNullable<RootfsSource['tar']>,
): Promise<SourceKind> {
  const names = collectTopNames();
  let entries = 0;
  const parser = createTarParser(ROOTFS_POLICY, LAYER_LIMITS, {
    entry({ path }) {
      entries += 1;
      if (entries > LAYER_LIMITS.entries) {
        throw toArchiveTooLarge(ROOTFS_POLICY, 'entries', LAYER_LIMITS.entries);
      }
      names.add(path);
    },
    data: () => undefined,
  });
  const isDone = () => host.signal?.aborted || names.isSettled() || parser.isComplete();
  if (compression === 'none') await skimHeaders(file, parser, isDone);
  else await skimCompressed(host, file, { compression, parser, isDone });
  return names.kind();
}

async function skimHeaders(
  file: FileHandle,
  parser: TarParser,
  isDone: () => boolean,
): Promise<void> {
  for (let at = 0; !isDone(); ) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, at);
    if (bytesRead === 0) return;
    parser.push(buffer.subarray(0, bytesRead));
    at += bytesRead + parser.skipContent();
  }
}

interface Skimming {
  readonly compression: Compression;
  readonly parser: TarParser;
  readonly isDone: () => boolean;
}

async function skimCompressed(
  { system, layout, signal }: ArchiveHost,
  file: FileHandle,
  { compression, parser, isDone }: Skimming,
): Promise<void> {
  const reading = readArchive(readTar(file), {
    policy: ROOTFS_POLICY,
    limits: LAYER_LIMITS,
    workers: { system, layout },
    compression,
    signal,
  });
  for await (const chunk of reading.tar) {
    parser.push(chunk);
    if (isDone()) return;
  }
}

const CHUNK_BYTES = 256 * 1024;

/** The bytes of an open tar, from its start. */
export async function* readTar(file: FileHandle): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    const piece = Buffer.allocUnsafe(CHUNK_BYTES);
    const { buffer, bytesRead } = await file.read(piece, 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Undefined for a root filesystem. Throws ERR_STACKSHIM_IMAGE_INVALID. */
function toImageKind(
  kind: SourceKind,
  { place, isFolder }: { readonly place: SourcePlace; readonly isFolder: boolean },
): 'oci' | 'oci-archive' | 'docker-archive' | undefined {
  switch (kind) {
    case 'rootfs':
      return undefined;
    case 'oci':
      return isFolder ? 'oci' : 'oci-archive';
    case 'docker':
      if (!isFolder) return 'docker-archive';
      throw toInvalid(`import ${place.name}: it looks like an unpacked archive of docker save`, {
        hint: `import the archive itself (docker-archive:FILE), or ${asRootfs(place)}`,
      });
    case 'empty':
      throw toInvalid(`import ${place.name}: it is empty`);
    case 'unclear':
      throw toUnclear(place);
  }
}

/** The error for a source that looks like an image and like a root filesystem. */
const toUnclear = (place: SourcePlace): StackshimError =>
  toInvalid(`import ${place.name}: it may be a root filesystem or an image: it has files of both`, {
    hint: `for an image write oci:, oci-archive: or docker-archive: before the path; ${asRootfs(place)}`,
  });

const asRootfs = ({ name, path }: SourcePlace) =>
  `if it is a root filesystem, write rootfs:${name === path ? path : '-'}`;

/** Throws {@link toUnclear} if a name that came after the first look belongs to an image. */
export function requireRootfs(names: TopNames, place: SourcePlace): void {
  if (!place.isRootfs && names.kind() !== 'rootfs') throw toUnclear(place);
}
