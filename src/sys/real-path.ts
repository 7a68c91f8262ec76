/** Files and directories of the host that a caller names: looked up once, then opened where they were found and nowhere else. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { fdPath, O_PATH } from './fd-path.ts';
import type { Fd } from './system.ts';
import { toAbsolute } from './to-absolute.ts';

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
