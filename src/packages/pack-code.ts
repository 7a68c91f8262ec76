/** Packs a task's code (a directory, a `.tar.gz` or a `.zip`) into one EROFS file. */
import { type FileHandle, open } from 'node:fs/promises';
import type { AdoptedFile } from '../archive/adopt-file.ts';
import {
  type ArchiveCleaner,
  type CleanedArchive,
  createArchiveCleaner,
} from '../archive/archive-cleaner.ts';
import type { ArchiveLimits } from '../archive/archive-limits.ts';
import { buildErofs } from '../archive/build-erofs.ts';
import type { WorkerHost } from '../archive/claim-worker.ts';
import { cleanTar } from '../archive/clean-tar.ts';
import { type ContentDigest, createContentDigest, digesting } from '../archive/content-digest.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { fdPath, openPlain, withFd } from '../sys/paths.ts';
import { choosing, readingFile } from './choose-entries.ts';
import { type CleanCode, CODE_LIMITS, CODE_POLICY, toCleanCode } from './code-policy.ts';
import { packDirectory } from './pack-directory.ts';

export interface ReadCodeOptions {
  /** False: the source is an absolute path that had no links when it was checked. Default: true. */
  readonly followLinks?: boolean | undefined;
  /** Provides ids for the programs that read the code. */
  readonly workers: WorkerHost;
  readonly limits?: ArchiveLimits | undefined;
  /** Files and folders relative to the code; the rest does not count. Default: all of it. */
  readonly only?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PackCodeOptions extends ReadCodeOptions {
  /** `none` is faster, for a file that one task uses. Default: `none`. */
  readonly compression?: 'none' | 'lz4';
}

/** Counts of the packed content: files, folders and links, and the bytes of all files. */
type PackedCode = Pick<CleanedArchive, 'entries' | 'bytes'>;

/** A task's code; undefined: an empty folder. */
type CodeSource = string | undefined;

const NO_ARCHIVE = 'neither a gzip nor a zip file';

type SourceKind = 'directory' | 'tar.gz' | 'zip';

/**
 * Writes `destination`, an EROFS file whose root is the program: owned by 0:0, without `.git`; a single top folder is kept. Does not sync. On
 * failure there is no `destination`. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_CODE_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE,
 * ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TASK_ABORTED, ERR_STACKSHIM_SYSTEM.
 */
export async function packCode(
  source: string,
  destination: string,
  options: PackCodeOptions,
): Promise<PackedCode> {
  const { packed } = await pack(source, destination, { ...options, cleaner: toCleaner(options) });
  return packed;
}

/** Like {@link packCode}; also returns the packed content's digest, which {@link digestCode} finds for the same content. */
export async function packDigestedCode(
  source: CodeSource,
  destination: string,
  options: PackCodeOptions,
): Promise<{ readonly digest: string; readonly file: AdoptedFile }> {
  const content = toContentDigest(options);
  const cleaner = digesting(toCleaner(options), content);
  const { file } = await pack(source, destination, { ...options, cleaner });
  return { file, digest: content.digest() };
}

/** The digest of a task's code, independent of file times. Reads all of it and stores nothing. Throws like {@link packCode}. */
export async function digestCode(source: CodeSource, options: ReadCodeOptions): Promise<string> {
  const content = toContentDigest(options);
  await readThrough(source, { ...options, cleaner: content });
  return content.digest();
}

/**
 * Like {@link digestCode}; in the same pass, also reads one file of the code: `file`, undefined if there is none. Throws
 * ERR_STACKSHIM_CODE_INVALID if it is no file or is too large.
 */
export async function surveyCode(
  source: string,
  options: ReadCodeOptions & { readonly file: Parameters<typeof readingFile>[1] },
): Promise<{ readonly digest: string; readonly file: Buffer | undefined }> {
  const content = toContentDigest(options);
  const cleaner = readingFile(content, options.file);
  await readThrough(source, { ...options, cleaner });
  return { digest: content.digest(), file: cleaner.content() };
}

/** Passes the code to `use` as a clean tar; resolves to its result and the digest of what was read. Throws like {@link packCode}. */
export async function readDigestedCode<T>(
  source: string,
  options: ReadCodeOptions,
  use: (tar: AsyncIterable<Buffer>) => Promise<T>,
): Promise<{ readonly digest: string; readonly result: T }> {
  const content = toContentDigest(options);
  const cleaner = digesting(toCleaner(options), content);
  const result = await readCode(source, { ...options, cleaner }, ({ tar }) => use(tar));
  return { digest: content.digest(), result };
}

const readThrough = (source: CodeSource, options: Cleaning<ReadCodeOptions>): Promise<void> =>
  readCode(source, options, async ({ tar }) => {
    for await (const _ of tar) options.signal?.throwIfAborted();
  });

const toCleaner = ({ limits = CODE_LIMITS }: ReadCodeOptions): ArchiveCleaner =>
  createArchiveCleaner({ policy: CODE_POLICY, limits });

const toContentDigest = ({ limits = CODE_LIMITS }: ReadCodeOptions): ContentDigest =>
  createContentDigest({ policy: CODE_POLICY, limits });

type Cleaning<T> = T & { readonly cleaner: ArchiveCleaner };

const pack = (
  source: CodeSource,
  destination: string,
  options: Cleaning<PackCodeOptions>,
): Promise<{ readonly packed: PackedCode; readonly file: AdoptedFile }> =>
  readCode(source, options, async ({ tar, report }) => {
    const { workers, compression = 'none', signal } = options;
    const build = { policy: CODE_POLICY, workers, compression, signal };
    const file = await buildErofs(tar, destination, build);
    const { entries, bytes } = report();
    return { packed: { entries, bytes }, file };
  });

async function readCode<T>(
  source: CodeSource,
  asked: Cleaning<ReadCodeOptions>,
  read: (code: CleanCode) => Promise<T>,
): Promise<T> {
  const { only } = asked;
  const options = only === undefined ? asked : { ...asked, cleaner: choosing(asked.cleaner, only) };
  if (source === undefined) return await read(toCleanCode(options.cleaner, []));
  const opened = await openSource(source, options.followLinks ?? true);
  try {
    return await read(await cleanSource(opened, options));
  } finally {
    await opened.handle.close();
  }
}

/** Throws ERR_STACKSHIM_CODE_INVALID unless the file begins like an archive of code. `name` is for the message. */
export async function requireCodeArchive(path: string, name: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    if ((await readKind(handle)) === undefined) throw toUnknown(name, NO_ARCHIVE);
  } finally {
    await handle.close();
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
    if (kind === undefined) throw toUnknown(source, NO_ARCHIVE);
    return { handle, kind, sizeBytes: found.size };
  } catch (error) {
    await handle?.close();
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', `open code ${source}`);
  }
}

async function openHandle(source: string, followLinks: boolean): Promise<FileHandle | undefined> {
  const fd = openPlain(source, { followLinks });
  if (fd === undefined) return undefined;
  return await withFd(fd, () => open(fdPath(fd), 'r'));
}

function toUnknown(source: string, reason: string): StackshimError {
  return new StackshimError('ERR_STACKSHIM_CODE_INVALID', `read code ${source}: ${reason}`, {
    hint: 'give a directory, a .tar.gz or a .zip',
    details: { source },
  });
}

/** Detects the format by the first bytes, not the name. */
async function readKind(handle: FileHandle): Promise<SourceKind | undefined> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  const magic = buffer.toString('latin1', 0, bytesRead);
  if (magic.startsWith('\x1f\x8b')) return 'tar.gz';
  // The header of an entry, or the end of an empty archive.
  return magic === 'PK\x03\x04' || magic === 'PK\x05\x06' ? 'zip' : undefined;
}

async function cleanSource(
  { handle, kind, sizeBytes }: OpenedSource,
  { limits = CODE_LIMITS, workers, cleaner }: Cleaning<ReadCodeOptions>,
): Promise<CleanCode> {
  switch (kind) {
    case 'directory':
      return packDirectory(handle.fd, cleaner);
    case 'tar.gz':
      return cleanTar(
        handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 }),
        { policy: CODE_POLICY, limits, workers, cleaner, compression: 'gzip' },
      );
    case 'zip': {
      const { packZip } = await import('./pack-zip.ts');
      return packZip(handle, { limits, sizeBytes, cleaner });
    }
  }
}
