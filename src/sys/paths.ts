/** Paths: of open files, as bytes, made absolute, and what the paths that a caller names lead to. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  type Stats,
  statSync,
} from 'node:fs';
import { isAbsolute } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { Fd } from './system.ts';

/** Opens nothing to read or write, so that devices and FIFOs can be looked at. open(2): the same number on x86-64 and arm64. */
export const O_PATH = 0x20_0000;

/** Leads to the open file itself, wherever its name leads by now. */
export const fdPath = (fd: Fd): string => `/proc/self/fd/${fd}`;

/** The path of an entry of an open folder. */
export const entryOf = (folder: Fd, name: string): string => `${fdPath(folder)}/${name}`;

/** What `name` is in the folder `path`, which was read with the encoding `latin1`: a name that is no UTF-8, read as text, becomes the name of another. */
export function entryPath(path: Buffer, name: string): Buffer {
  return Buffer.concat([path, Buffer.from(`/${name}`, 'latin1')]);
}

/**
 * For callers that need the path itself and not only what it leads to. An absolute path stays as it is; a relative one gets the working directory's path before it. Throws ERR_STACKSHIM_INPUT_NOT_FOUND where that directory
 * has none: it was removed, or lies outside of what this process sees.
 */
export const toAbsolute = (path: string): string =>
  isAbsolute(path) ? path : `${workingDirectory(path)}/${path}`;

/** An engine may return a path that it stored earlier: check that it leads to the directory where the kernel resolves relative paths. */
function workingDirectory(path: string): string {
  let cause: unknown;
  try {
    const known = process.cwd();
    const [there, here] = [statSync(known), statSync('.')];
    if (there.dev === here.dev && there.ino === here.ino) return known;
  } catch (error) {
    cause = error;
  }
  throw new StackshimError(
    'ERR_STACKSHIM_INPUT_NOT_FOUND',
    `find ${path}: the working directory no longer exists, or has no path`,
    { hint: 'give absolute paths, or change to another directory', details: { path }, cause },
  );
}

const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export interface FoundPath {
  /** Without links. */
  readonly path: string;
  readonly stats: Stats;
}

/** Finds what a path leads to, links followed. Does not open it for reading, which may have effects on a device or a FIFO. */
export function lookUpPath(path: string): FoundPath {
  const place = openSync(toAbsolute(path), O_PATH);
  try {
    return { path: pathOf(place), stats: fstatSync(place) };
  } finally {
    closeSync(place);
  }
}

/**
 * Opens a file or directory for reading, without ever waiting; undefined for anything else. The caller closes it. Without
 * `followLinks`, `path` is one that {@link lookUpPath} found: an error of code ELOOP when it leads elsewhere by now, so that what was
 * allowed is what is read.
 */
export function openPlain(
  path: string,
  { followLinks }: { readonly followLinks: boolean },
): Fd | undefined {
  const place = openSync(path, O_PATH | (followLinks ? 0 : constants.O_NOFOLLOW));
  try {
    const stats = fstatSync(place);
    if (!followLinks && (stats.isSymbolicLink() || pathOf(place) !== path)) {
      const message = `${path}: the file or a directory above it was replaced`;
      throw Object.assign(new Error(message), { code: 'ELOOP' });
    }
    return stats.isFile() || stats.isDirectory() ? openSync(fdPath(place), READ) : undefined;
  } finally {
    closeSync(place);
  }
}

const pathOf = (fd: Fd) => readlinkSync(fdPath(fd));
