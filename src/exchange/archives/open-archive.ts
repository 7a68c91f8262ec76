/** Opens an image archive, compressed as a whole or not, and gives access to its files. */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { type Layout, tmpDir } from '../../core/layout.ts';
import { temporaryPath } from '../../store/stale-files.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { openRegularFile } from '../../sys/open-regular-file.ts';
import type { System } from '../../sys/system.ts';
import { ensureDirectory } from '../../sys/write-file.ts';
import { type OciLayoutRoot, type OpenedFile, toInvalid } from '../oci-image/oci-blobs.ts';
import { ARCHIVE_POLICY, type ArchiveSpan, indexArchive } from './index-archive.ts';

export interface OpenArchive extends OciLayoutRoot {
  /** Plain paths of its regular files. */
  readonly paths: ReadonlySet<string>;
  close(): Promise<void>;
}

export interface ArchiveHost {
  readonly system: System;
  readonly layout: Layout;
  /** An abort ends the program that decompresses. */
  readonly signal?: AbortSignal | undefined;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * Opens the tar at `path`. A compressed archive is first decompressed into an unnamed file, with the size limit of a layer. The caller
 * closes the archive, after the files that it opened from it. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_IMAGE_INVALID,
 * ERR_STACKSHIM_LAYER_TOO_LARGE, ERR_STACKSHIM_DISK_FULL.
 */
export async function openArchive(host: ArchiveHost, path: string): Promise<OpenArchive> {
  let file = await openInput(path);
  try {
    const start = await readStart(file);
    requireReadable(path, start);
    const compression = toCompression(start);
    if (compression !== 'none') {
      const unpacked = await decompress(host, file, compression);
      await file.close();
      file = unpacked;
    }
    const { size } = await file.stat();
    return toArchive(path, file, await indexNamed(path, file, size));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The compression of a file according to its first bytes; file names are not reliable. */
export function toCompression(start: Buffer): Compression {
  const magic = start.toString('latin1', 0, 4);
  if (magic.startsWith('\x1f\x8b')) return 'gzip';
  if (magic === '\xfd7zX') return 'xz';
  return magic === '\x28\xb5\x2f\xfd' ? 'zstd' : 'none';
}

/** Refuses bzip2, by its first bytes. */
export function requireReadable(path: string, start: Buffer): void {
  if (!start.toString('latin1').startsWith('BZh')) return;
  throw toInvalid(`open ${path}: it is compressed with bzip2`, {
    hint: 'decompress it first (bzip2 --decompress); only gzip, zstd and xz are supported',
  });
}

async function indexNamed(
  path: string,
  file: FileHandle,
  size: number,
): Promise<ReadonlyMap<string, ArchiveSpan>> {
  try {
    return await indexArchive(file, size);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    throw toInvalid(`open ${path}: ${error.message}`, { cause: error, details: error.details });
  }
}

export async function readStart(file: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
  return buffer.subarray(0, bytesRead);
}

/** Opens a regular file for reading and never waits: a FIFO or a device is refused. Throws ERR_STACKSHIM_INPUT_NOT_FOUND. */
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
  const { tar } = readArchive(
    packed.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK_BYTES }),
    {
      policy: ARCHIVE_POLICY,
      limits: LAYER_LIMITS,
      compression,
      workers: { system, layout },
      signal,
    },
  );
  return await guardDisk('decompress an archive', async () => {
    await ensureDirectory(tmpDir(layout), 0o700);
    const temporary = temporaryPath(layout, '.tar');
    const unpacked = await open(temporary, 'wx+', 0o600);
    try {
      // From here on the kernel frees the file, however this process ends.
      await unlink(temporary);
      let written = 0;
      for await (const chunk of tar) {
        written += chunk.length;
        if (written > LAYER_LIMITS.bytes) {
          throw new StackshimError(
            'ERR_STACKSHIM_LAYER_TOO_LARGE',
            `read archive: more than ${LAYER_LIMITS.bytes} bytes`,
          );
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
    paths: new Set(spans.keys()),
    openFile: (path) => {
      const span = spans.get(path);
      if (span !== undefined) return Promise.resolve(toOpenedFile(file, span));
      return Promise.reject(toInvalid(`open ${path} of ${name}: not in the archive`));
    },
    close: () => file.close(),
  };
}

const toOpenedFile = (file: FileHandle, { start, size }: ArchiveSpan): OpenedFile => ({
  size,
  chunks: () => readSpan(file, start, size),
  close: () => Promise.resolve(),
});

async function* readSpan(file: FileHandle, start: number, size: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < size; ) {
    const piece = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, start + done);
    if (bytesRead === 0) throw toInvalid('read archive: it is cut off');
    done += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}
