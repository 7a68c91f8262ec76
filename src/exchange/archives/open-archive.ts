/** Opens an image archive, compressed as a whole or not, and gives access to its files. */
import type { FileHandle } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { toArchiveTooLarge } from '../../archive/archive-policy.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { openRegularFile } from '../../sys/open-regular-file.ts';
import type { System } from '../../sys/system.ts';
import { openNameless, readPieces, readSpan } from '../file-pieces.ts';
import { type OciLayoutRoot, toInvalid } from '../oci-image/oci-blobs.ts';
import { ARCHIVE_POLICY, type ArchiveSpan, indexArchive, toCutOff } from './index-archive.ts';

export interface OpenArchive extends OciLayoutRoot {
  close(): Promise<void>;
}

export interface ArchiveHost {
  readonly system: System;
  readonly layout: Layout;
  /** An abort ends the decompressing program. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the tar at `path`. A compressed archive is first decompressed into an unnamed file, up to the size limit of a layer. The caller closes the
 * archive after the files opened from it. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_IMAGE_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE,
 * ERR_STACKSHIM_DISK_FULL.
 */
export async function openArchive(host: ArchiveHost, path: string): Promise<OpenArchive> {
  let file = await openInput(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const start = buffer.subarray(0, bytesRead);
    requireReadable(path, start);
    const compression = toCompression(start);
    if (compression !== 'none') {
      const unpacked = await decompress(host, file, compression);
      await file.close();
      file = unpacked;
    }
    const { size } = await file.stat();
    const spans = await indexArchive(file, size).catch((error) => {
      if (!(error instanceof StackshimError)) throw error;
      throw toInvalid(`open ${path}: ${error.message}`, { cause: error, details: error.details });
    });
    return toArchive(path, file, spans);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Finds the compression from a file's first bytes; file names are not reliable. */
export function toCompression(start: Buffer): Compression {
  const magic = start.toString('latin1', 0, 4);
  if (magic.startsWith('\x1f\x8b')) return 'gzip';
  if (magic === '\xfd7zX') return 'xz';
  return magic === '\x28\xb5\x2f\xfd' ? 'zstd' : 'none';
}

/** Refuses bzip2, recognised by the first bytes. */
export function requireReadable(path: string, start: Buffer): void {
  if (!start.toString('latin1').startsWith('BZh')) return;
  throw toInvalid(`open ${path}: it is compressed with bzip2`, {
    hint: 'decompress it first (bzip2 --decompress); only gzip, zstd and xz are supported',
  });
}

/** Opens a regular file for reading without ever waiting: FIFOs and devices are refused. Throws ERR_STACKSHIM_INPUT_NOT_FOUND. */
export async function openInput(path: string): Promise<FileHandle> {
  try {
    return await openRegularFile(path, { followLink: true });
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `open ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { path },
    });
  }
}

async function decompress(
  { system, layout, signal }: ArchiveHost,
  packed: FileHandle,
  compression: Compression,
): Promise<FileHandle> {
  const { tar } = readArchive(readPieces(packed), {
    policy: ARCHIVE_POLICY,
    limits: LAYER_LIMITS,
    compression,
    workers: { system, layout },
    signal,
  });
  return await guardDisk('decompress an archive', async () => {
    const unpacked = await openNameless(layout);
    try {
      let written = 0;
      for await (const chunk of tar) {
        written += chunk.length;
        if (written > LAYER_LIMITS.bytes) {
          throw toArchiveTooLarge(ARCHIVE_POLICY, 'bytes', LAYER_LIMITS.bytes);
        }
        await unpacked.writeFile(chunk);
      }
      return unpacked;
    } catch (error) {
      await unpacked.close();
      throw error;
    }
  });
}

function toArchive(
  name: string,
  file: FileHandle,
  spans: ReadonlyMap<string, ArchiveSpan>,
): OpenArchive {
  return {
    name,
    openFile: (path) => {
      const span = spans.get(path);
      if (span === undefined) {
        return Promise.reject(toInvalid(`open ${path} of ${name}: not in the archive`));
      }
      const chunks = () => readSpan(file, span, toCutOff);
      return Promise.resolve({ size: span.size, chunks, close: () => Promise.resolve() });
    },
    close: () => file.close(),
  };
}
