/** Finds a stack's folder, and checks that only root can change it. The content is read from a copy: build-context.ts. */
import { lstatSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { reasonOf, StackshimError, unlessMissing } from '../core/errors.ts';
import { isStackName, type StackName } from '../core/ids.ts';
import { readBoundedFile } from '../sys/files.ts';
import { type PathFault, walkTrusted } from '../sys/trusted-path.ts';

export interface StackFolder {
  /** Absolute path, links resolved. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: StackName;
  /** The folder `shared` next to it, available to the Dockerfile as `COPY --from=shared`; undefined if there is none. */
  readonly shared: string | undefined;
}

/** The size limit of a Dockerfile and of a `base.json`. */
const MAX_READ_BYTES = 1024 * 1024;

/**
 * Finds a stack's folder. Root must own the folder, the folder `shared` next to it, and every folder above, and nobody else may be able to
 * write to them. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_PATH_UNTRUSTED.
 */
export function openStackFolder(directory: string): StackFolder {
  const path = resolveFolder(directory);
  const name = basename(path);
  if (!isStackName(name)) {
    const text = `build ${path}: ${JSON.stringify(name)} is not a stack name`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
      hint: 'rename the folder: use lower-case letters and digits, with single ".", "_" or "-" between them',
      details: { field: 'directory', directory: path },
    });
  }
  if (!isThere(path, 'Dockerfile')) throw toWithoutDockerfile(path);
  isThere(path, 'base.json');
  return { path, name, shared: findShared(path) };
}

/** Whether a file that is read whole exists. Throws, before anything is copied, if it is too large or not a regular file. */
function isThere(path: string, name: string): boolean {
  const file = `${path}/${name}`;
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (!stats.isFile()) throw toUnreadable(file, 'not a regular file');
  if (stats.size <= MAX_READ_BYTES) return true;
  throw toUnreadable(file, `larger than ${MAX_READ_BYTES} bytes`);
}

/** Returns the text of a folder's Dockerfile, read at `place`: the folder or its copy. Throws ERR_STACKSHIM_INPUT_NOT_FOUND. */
export function readDockerfile(folder: string, place = folder): string {
  const text = readSmallFile(folder, 'Dockerfile', place);
  if (text === undefined) throw toWithoutDockerfile(folder);
  return text;
}

/** Returns the text of a file of the folder, read at `place`; undefined if it does not exist. Throws ERR_STACKSHIM_INPUT_NOT_FOUND. */
export function readSmallFile(folder: string, name: string, place: string): string | undefined {
  try {
    return unlessMissing(() => readBoundedFile(`${place}/${name}`, { maxBytes: MAX_READ_BYTES }));
  } catch (error) {
    throw toUnreadable(`${folder}/${name}`, error);
  }
}

const toWithoutDockerfile = (path: string) =>
  new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `build ${path}: it has no Dockerfile`, {
    details: { path: `${path}/Dockerfile` },
  });

/** The error for a folder that others control: they would decide what root builds, and links there could lead to other files of root. */
export function toUntrustedFolder(
  folder: string,
  { path, problem }: Omit<PathFault, 'hint'>,
): StackshimError {
  return new StackshimError('ERR_STACKSHIM_PATH_UNTRUSTED', `build ${folder}: ${path} ${problem}`, {
    hint: `copy the folder to a place where only root can write, check its content, and build it there: cp -R --no-preserve=ownership ${folder} /root/`,
    details: { path: folder, fault: path },
  });
}

export const toForbiddenLink = (folder: string, path: string): StackshimError =>
  toUntrustedFolder(folder, {
    path,
    problem: 'is a link, which could lead to files that no stack may have',
  });

/** @param cause An error, or a text. */
export function toUnreadable(path: string, cause: unknown): StackshimError {
  const message = `read ${path}: ${reasonOf(cause)}`;
  return new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { cause, details: { path } });
}

function resolveFolder(directory: string): string {
  let walked: ReturnType<typeof walkTrusted>;
  try {
    walked = walkTrusted(directory);
  } catch (error) {
    throw toUnreadable(directory, error);
  }
  const { path, stats, fault } = walked;
  if (stats === undefined) throw toUnreadable(directory, 'no such folder');
  if (fault !== undefined) throw toUntrustedFolder(directory, fault);
  if (!stats.isDirectory()) throw toUnreadable(directory, 'not a folder');
  return path;
}

function findShared(path: string): string | undefined {
  const shared = `${dirname(path)}/shared`;
  const stats = lstatSync(shared, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isSymbolicLink()) throw toForbiddenLink(path, shared);
  return stats.isDirectory() ? shared : undefined;
}
