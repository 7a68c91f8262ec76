/** Packs a task's code (a directory, a `.tar.gz` or a `.zip`) into one EROFS file. */
import { closeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { ArchiveLimits } from '../archive/archive-limits.ts';
import { buildErofs } from '../archive/build-erofs.ts';
import type { WorkerHost } from '../archive/claim-worker.ts';
import { cleanTar } from '../archive/clean-tar.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { fdPath, openPlain } from '../sys/paths.ts';
import { type CleanCode, CODE_LIMITS, CODE_POLICY } from './code-policy.ts';
import { packDirectory } from './pack-directory.ts';

export interface PackCodeOptions {
  /** Default true. False: the source is an absolute path that had no links when it was checked. */
  readonly followLinks?: boolean | undefined;
  /** Where the programs that read the code get their ids. */
  readonly workers: WorkerHost;
  readonly limits?: ArchiveLimits | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PackedCode {
  /** Files, folders and links. */
  readonly entries: number;
  /** Sum over all files. */
  readonly bytes: number;
}

type SourceKind = 'directory' | 'tar.gz' | 'zip';

/**
 * Writes `destination`, an EROFS file whose root is the program: owned by 0:0, without `.git`; a single top folder is kept.
 * The file is for one task, so it is neither compressed nor synced. On failure it does not exist.
 * Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_CODE_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE,
 * ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TASK_ABORTED, ERR_STACKSHIM_SYSTEM.
 */
export async function packCode(
  source: string,
  destination: string,
  options: PackCodeOptions,
): Promise<PackedCode> {
  const { workers, limits = CODE_LIMITS, signal, followLinks = true } = options;
  const opened = await openSource(source, followLinks);
  try {
    const code = await toCleanCode(opened, limits, workers);
    await buildErofs(code.tar, destination, {
      policy: CODE_POLICY,
      workers,
      compression: 'none',
      signal,
    });
    const { entries, bytes } = code.report();
    return { entries, bytes };
  } finally {
    await opened.handle.close();
  }
}

interface OpenedSource {
  readonly handle: FileHandle;
  readonly kind: SourceKind;
  readonly sizeBytes: number;
}

async function openSource(source: string, followLinks: boolean): Promise<OpenedSource> {
  let handle: FileHandle | undefined;
  try {
    handle = await openHandle(source, followLinks);
    if (handle === undefined) throw toUnknown(source, 'neither a directory nor a file');
    const found = await handle.stat();
    const kind = found.isDirectory() ? 'directory' : await readKind(handle);
    if (kind === undefined) throw toUnknown(source, 'neither a gzip nor a zip file');
    return { handle, kind, sizeBytes: found.size };
  } catch (error) {
    await handle?.close();
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', `open code ${source}`);
  }
}

async function openHandle(source: string, followLinks: boolean): Promise<FileHandle | undefined> {
  const fd = openPlain(source, { followLinks });
  if (fd === undefined) return undefined;
  try {
    return await open(fdPath(fd), 'r');
  } finally {
    closeSync(fd);
  }
}

function toUnknown(source: string, reason: string): StackshimError {
  return new StackshimError('ERR_STACKSHIM_CODE_INVALID', `read code ${source}: ${reason}`, {
    hint: 'give a directory, a .tar.gz or a .zip',
    details: { source },
  });
}

/** Detects the format by the first bytes, not by the name. */
async function readKind(handle: FileHandle): Promise<SourceKind | undefined> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  const magic = buffer.toString('latin1', 0, bytesRead);
  if (magic.startsWith('\x1f\x8b')) return 'tar.gz';
  // The header of an entry, or the end of an archive without entries.
  return magic === 'PK\x03\x04' || magic === 'PK\x05\x06' ? 'zip' : undefined;
}

async function toCleanCode(
  source: OpenedSource,
  limits: ArchiveLimits,
  workers: WorkerHost,
): Promise<CleanCode> {
  const { handle, kind, sizeBytes } = source;
  switch (kind) {
    case 'directory':
      return packDirectory(handle.fd, limits);
    case 'tar.gz':
      return cleanTar(
        handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 }),
        { policy: CODE_POLICY, limits, workers, compression: 'gzip' },
      );
    case 'zip': {
      const { packZip } = await import('./pack-zip.ts');
      return packZip(handle, { limits, sizeBytes });
    }
  }
}
