/** Files and directories of the host that a caller names: resolved once, then opened only at the place that was found. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { fdPath, O_PATH } from './fd-path.ts';
import type { Fd } from './system.ts';
import { toAbsolute } from './to-absolute.ts';

const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export interface FoundPath {
  /** The path without links. */
  readonly path: string;
  readonly stats: Stats;
}

/** Resolves a path, links included. Does not open it for reading, because that may have effects on a device or a FIFO. */
export function lookUpPath(path: string): FoundPath {
  const place = openSync(toAbsolute(path), O_PATH);
  try {
    return { path: pathOf(place), stats: fstatSync(place) };
  } finally {
    closeSync(place);
  }
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
