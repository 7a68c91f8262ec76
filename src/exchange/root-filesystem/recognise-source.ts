/** Finds out what a path leads to: a root filesystem, as a folder or a tar, or an image. Looks at content, not at names of files. */
import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import {
  type ArchivePolicy,
  LAYER_POLICY,
  toArchiveTooLarge,
} from '../../archive/archive-policy.ts';
import { BLOCK_BYTES, parseTarHeader } from '../../archive/parse-tar-header.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import { createTarParser, type TarParser } from '../../archive/tar-parser.ts';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { fdPath, O_PATH, toAbsolute } from '../../sys/paths.ts';
import { type ArchiveHost, requireReadable, toCompression } from '../archives/open-archive.ts';
import { readPieces } from '../file-pieces.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';
import { collectTopNames, type SourceKind, type TopNames } from './top-names.ts';

/**
 * What a root filesystem from elsewhere may contain: as a layer, but without deletions, because there is nothing below. `.dockerenv` says that
 * files belong to a container of docker.
 */
export const ROOTFS_POLICY: ArchivePolicy = {
  ...LAYER_POLICY,
  subject: 'root filesystem',
  whiteouts: false,
  leaveOutEmptyFiles: new Set([...LAYER_POLICY.leaveOutEmptyFiles, '.dockerenv']),
};

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
    const close = (found: RecognisedSource) =>
      found.kind === 'rootfs' ? found.source.file.close() : undefined;
    looking.then(close).catch(() => undefined);
    throw error;
  }
}

async function look(host: ArchiveHost, place: SourcePlace): Promise<RecognisedSource> {
  const { name, isRootfs } = place;
  const file = await openSource(place);
  let isKept = false;
  try {
    const stats = await file.stat();
    const tar = stats.isDirectory()
      ? undefined
      : { compression: await readCompression(file, name), sizeBytes: stats.size };
    if (!isRootfs) {
      const kind =
        tar === undefined
          ? await readFolderKind(file)
          : await readTarKind(host, file, tar.compression);
      const image = toImageKind(kind, place, tar === undefined);
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
      details: { path },
      cause: error,
    });
  }
  const message = `open ${name}: neither a folder nor a regular file`;
  const hint = 'to import what another program writes, pipe it to stackshim stack import NAME -';
  throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { hint, details: { path } });
}

/** Throws ERR_STACKSHIM_IMAGE_INVALID for a file that is no tar that can be read. */
async function readCompression(file: FileHandle, name: string): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
  const start = buffer.subarray(0, bytesRead);
  requireReadable(name, start);
  const compression = toCompression(start);
  const isTar = bytesRead === BLOCK_BYTES && typeof parseTarHeader(buffer) !== 'string';
  if (compression !== 'none' || isTar) return compression;
  throw toInvalid(`open ${name}: neither a folder nor a tar archive`, {
    hint: 'give a folder, or a tar that is not compressed or compressed with gzip, zstd or xz',
  });
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
  compression: Compression,
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
  else {
    const { system, layout, signal } = host;
    const reading = readArchive(readPieces(file), {
      ...{ policy: ROOTFS_POLICY, limits: LAYER_LIMITS, workers: { system, layout } },
      ...{ compression, signal },
    });
    for await (const chunk of reading.tar) {
      parser.push(chunk);
      if (isDone()) break;
    }
  }
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

/** Undefined for a root filesystem. Throws ERR_STACKSHIM_IMAGE_INVALID. */
function toImageKind(
  kind: SourceKind,
  place: SourcePlace,
  isFolder: boolean,
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
