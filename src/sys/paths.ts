/** Paths of open files, paths as bytes, absolute paths, and files and directories that a caller names. */
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

/** Opens a file neither for reading nor for writing, to inspect devices and FIFOs: open(2). Same value on x86-64 and arm64. */
export const O_PATH = 0x20_0000;

/** A path to the open file itself, even if another file has its name by now. */
export const fdPath = (fd: Fd): string => `/proc/self/fd/${fd}`;

/** Calls `use` and closes `fd` when it returns or throws, or when its promise settles. */
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

/** The path of entry `name` in the folder `path`. List names with encoding `latin1`: decoding one that is not valid UTF-8 names another file. */
export function entryPath(path: Buffer, name: string): Buffer {
  return Buffer.concat([path, Buffer.from(`/${name}`, 'latin1')]);
}

/**
 * Prefixes a relative path with the working directory, for callers that need the path itself and not only its target. Throws
 * ERR_STACKSHIM_INPUT_NOT_FOUND if the working directory has no path: it was removed, or this process cannot see it.
 */
export const toAbsolute = (path: string): string =>
  isAbsolute(path) ? path : `${workingDirectory(path)}/${path}`;

/** The engine may return a path it stored earlier, so check that the path leads to the directory from which the kernel resolves paths. */
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

/** Resolves a path, links included. Does not open the file for reading, which may affect a device or FIFO. */
export function lookUpPath(path: string): FoundPath {
  return withFd(openSync(toAbsolute(path), O_PATH), (place) => ({
    path: pathOf(place),
    stats: fstatSync(place),
  }));
}

/**
 * Opens a file or directory for reading without ever waiting; undefined for anything else. The caller closes it. Without `followLinks`, `path`
 * must come from {@link lookUpPath}; if the path leads elsewhere by now, throws ELOOP, so that only the allowed file is read.
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
