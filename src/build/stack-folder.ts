/** Finds a stack's folder, and checks that only root can have changed it. Its content is read from a copy: build-context.ts. */
import { lstatSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { reasonOf, StackshimError } from '../core/errors.ts';
import { isStackName, type StackName } from '../core/ids.ts';
import { type PathFault, walkTrusted } from '../sys/trusted-path.ts';

export interface StackFolder {
  /** Absolute, links resolved. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: StackName;
  /** The folder `shared` next to it, available to the Dockerfile as `COPY --from=shared`; undefined if there is none. */
  readonly shared: string | undefined;
}

/** The size limit of a Dockerfile and of a `base.json`. */
export const MAX_READ_BYTES = 1024 * 1024;

/**
 * Finds a stack's folder. The folder, the folder `shared` next to it, and every folder above must belong to root, and nobody else may be
 * able to write to them. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_PATH_UNTRUSTED.
 */
export function openStackFolder(directory: string): StackFolder {
  const path = resolveFolder(directory);
  const name = basename(path);
  if (!isStackName(name)) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `build ${path}: ${JSON.stringify(name)} is not a stack name`,
      {
        hint: 'rename the folder: use lower-case letters and digits, with single ".", "_" or "-" between them',
        details: { field: 'directory', directory: path },
      },
    );
  }
  if (!isThere(path, 'Dockerfile')) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      `build ${path}: it has no Dockerfile`,
      { details: { path: `${path}/Dockerfile` } },
    );
  }
  isThere(path, 'base.json');
  return { path, name, shared: findShared(path) };
}

/** Checks, before anything is copied, that a file that is read completely is absent or of moderate size. */
function isThere(path: string, name: string): boolean {
  const file = `${path}/${name}`;
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (!stats.isFile()) throw toUnreadable(file, new Error('not a regular file'));
  if (stats.size <= MAX_READ_BYTES) return true;
  throw toUnreadable(file, new Error(`larger than ${MAX_READ_BYTES} bytes`));
}

/** A user who controls a folder decides what root builds from it, and can read other files of root through links in it. */
export function toUntrustedFolder(folder: string, { path, problem }: PathFault): StackshimError {
  return new StackshimError('ERR_STACKSHIM_PATH_UNTRUSTED', `build ${folder}: ${path} ${problem}`, {
    hint: `copy the folder to a place where only root can write, check its content, and build it there: cp -R --no-preserve=ownership ${folder} /root/`,
    details: { path: folder, fault: path },
  });
}

export function toUnreadable(path: string, error: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
    cause: error,
    details: { path },
  });
}

function resolveFolder(directory: string): string {
  let walked: ReturnType<typeof walkTrusted>;
  try {
    walked = walkTrusted(directory);
  } catch (error) {
    throw toUnreadable(directory, error);
  }
  const { path, stats, fault } = walked;
  if (stats === undefined) throw toUnreadable(directory, new Error('no such folder'));
  if (fault !== undefined) throw toUntrustedFolder(directory, fault);
  if (!stats.isDirectory()) throw toUnreadable(directory, new Error('not a folder'));
  return path;
}

function findShared(path: string): string | undefined {
  const shared = `${dirname(path)}/shared`;
  const stats = lstatSync(shared, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isSymbolicLink()) {
    const problem = 'is a link, which could lead to files that no stack may have';
    throw toUntrustedFolder(path, { path: shared, problem, hint: undefined });
  }
  return stats.isDirectory() ? shared : undefined;
}
