/** Paths of open files, paths as bytes, absolute paths, and the files and directories that a caller names. */
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
import type { Fd, System } from './system.ts';

/** Opens a file neither for reading nor for writing, so that devices and FIFOs can be inspected: open(2). Same number on x86-64 and arm64. */
export const O_PATH = 0x20_0000;

/** Leads to the open file itself, even if another file has its name by now. */
export const fdPath = (fd: Fd): string => `/proc/self/fd/${fd}`;

/** Closes `fd` when `use` returns or throws; if it returns a promise, when that settles. */
export const withFd = <T>(fd: Fd, use: (fd: Fd) => T): T =>
  withSystemFd({ close: closeSync }, fd, use);

/** Like {@link withFd}, for a descriptor that `system` opened. */
export function withSystemFd<T>(system: Pick<System, 'close'>, fd: Fd, use: (fd: Fd) => T): T {
  let result: T | undefined;
  try {
    result = use(fd);
    return result instanceof Promise ? (result.finally(() => system.close(fd)) as T) : result;
  } finally {
    if (!(result instanceof Promise)) system.close(fd);
  }
}

/** The path of an entry in an open folder. */
export const entryOf = (folder: Fd, name: string): string => `${fdPath(folder)}/${name}`;

/**
 * The path of the entry `name` in the folder `path`. `name` comes from a listing with the encoding `latin1`: decoding a name that is not
 * valid UTF-8 would yield the name of another file.
 */
export function entryPath(path: Buffer, name: string): Buffer {
  return Buffer.concat([path, Buffer.from(`/${name}`, 'latin1')]);
}

/**
 * Returns an absolute path unchanged and puts the working directory before a relative one, for callers that need the path itself and not
 * only what it leads to. Throws ERR_STACKSHIM_INPUT_NOT_FOUND if the working directory has no path: it was removed, or is outside of what
 * this process sees.
 */
export const toAbsolute = (path: string): string =>
  isAbsolute(path) ? path : `${workingDirectory(path)}/${path}`;

/** An engine may return a path that it stored earlier, so check that this path leads to the directory where the kernel resolves relative paths. */
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
  /** The path without links. */
  readonly path: string;
  readonly stats: Stats;
}

/** Resolves a path, links included. Does not open it for reading, because that may have effects on a device or a FIFO. */
export function lookUpPath(path: string): FoundPath {
  return withFd(openSync(toAbsolute(path), O_PATH), (place) => ({
    path: pathOf(place),
    stats: fstatSync(place),
  }));
}

/**
 * Opens a file or directory for reading and never waits; undefined for anything else. The caller closes it. Without `followLinks`, `path`
 * must come from {@link lookUpPath}: if it leads elsewhere by now, an error of code ELOOP is thrown, so that what was allowed is what is
 * read.
 */
export function openPlain(
  path: string,
  { followLinks }: { readonly followLinks: boolean },
): Fd | undefined {
  return withFd(openSync(path, O_PATH | (followLinks ? 0 : constants.O_NOFOLLOW)), (place) => {
    const stats = fstatSync(place);
    if (!followLinks && (stats.isSymbolicLink() || pathOf(place) !== path)) {
      const message = `${path}: the file or a directory above it was replaced`;
      throw Object.assign(new Error(message), { code: 'ELOOP' });
    }
    return stats.isFile() || stats.isDirectory() ? openSync(fdPath(place), READ) : undefined;
  });
}

const pathOf = (fd: Fd) => readlinkSync(fdPath(fd));
