/** A stack as one file for everybody: an OCI archive that also holds docker's `manifest.json`. */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../layers/guard-disk.ts';
import { holdStore } from '../../layers/store-lease.ts';
import { parseStackReference } from '../../spec/parse-stack-reference.ts';
import { resolveStack } from '../../stacks/resolve-stack.ts';
import { randomName, syncDirectory } from '../../sys/files.ts';
import { abortable } from '../build-aborted.ts';
import { toReporter } from '../build-progress.ts';
import type { ExchangeOptions } from './publish-image.ts';
import { writeImageArchive } from './write-image-archive.ts';

export interface ExportStackOptions extends ExchangeOptions {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** Replaced when it exists, in one step. */
  readonly file: string;
}

export interface ExportedStack {
  readonly stack: StackName;
  readonly revision: number;
  /** What the image is called in the archive: `localhost/ruby-3.3:rev-2`. */
  readonly reference: string;
  /** Of the manifest in the archive: another than the stored image's, as its layers are packed anew. */
  readonly digest: ImageDigest;
}

/**
 * Writes the archive; on failure there is none, and an older one stays. The same revision gives the same bytes.
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_LAYER_CORRUPT
 * and as `resolveStack`.
 */
export async function exportStack(
  layout: Layout,
  options: ExportStackOptions,
): Promise<ExportedStack> {
  const { system, file, signal } = options;
  return await abortable(`export ${options.stack}`, signal, async () => {
    const lease = await holdStore(layout, system);
    try {
      const { stack, revision, image } = resolveStack(
        layout,
        parseStackReference(options.stack, 'stack'),
      );
      for (const id of image.layers) await lease.pin(id);
      const report = toReporter(options.onProgress);
      report({ kind: 'step', step: 'export', text: `export ${stack} revision ${revision}` });
      const reference = `localhost/${stack}:rev-${revision}`;
      const content = { image, reference, system, report, signal };
      const { digest } = await guardDisk(`write ${file}`, () =>
        writeWhole(file, (handle) => writeImageArchive(layout, handle, content)),
      );
      return { stack, revision, reference, digest };
    } finally {
      lease.release();
    }
  });
}

/** The caller named no folder, or none for files. */
const NO_PLACE = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG']);

/** Fills a file beside `path` and puts it in its place. Throws ERR_STACKSHIM_INPUT_NOT_FOUND where none can be made. */
export async function writeWhole<T>(
  path: string,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  if (await isDirectory(path)) throw toNoPlace(path, 'it is a folder');
  const temporary = `${path}.${randomName()}.tmp`;
  const file = await open(temporary, 'wx', 0o644).catch((error: unknown) => {
    const code = errnoCodeOf(error) ?? '';
    throw NO_PLACE.has(code) ? toNoPlace(path, code, error) : error;
  });
  try {
    const result = await fill(file);
    await file.sync();
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Nothing could be put in the place of one. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Whether a file can be made there is seen when it is made.
    return false;
  }
}

const toNoPlace = (path: string, reason: string, cause?: unknown) =>
  new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `write ${path}: ${reason}`, {
    hint: 'name a file in a folder that exists and may be written to',
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
