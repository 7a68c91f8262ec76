/**
 * Whether anyone but root (or the user we run as) could have put what a path leads to in its place.
 *
 * Another walk than output/open-folder.ts: here every entry on the way must be root's, so that nobody else can change one meanwhile and names
 * will do; something may be missing, and the entry at fault is told. There folders of others may be on the way, so each is held open.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { isOurs, isSticky, isWritableByOthers, type Owned } from './ownership.ts';
import { toAbsolute } from './to-absolute.ts';

/** The entry that another user controls. */
export interface PathFault {
  readonly path: string;
  /** Completes the sentence `<path> …`. */
  readonly problem: string;
  /** What the operator does about it; undefined: what the error code says. */
  readonly hint: string | undefined;
}

export interface WalkedPath {
  /** Without links, unless there is a fault. */
  readonly path: string;
  /** Of what is there; undefined where nothing is. */
  readonly stats: Stats | undefined;
  readonly fault: PathFault | undefined;
}

/** Linux follows no more in one path, path_resolution(7). */
const MAX_LINKS = 40;

/**
 * Follows a path from `/`, link by link. Every folder on the way, every link and what is at its end must belong to root or to the
 * user we run as, and none of them may be writable by group or others. A folder may be, when it is sticky and not the path's end:
 * others cannot replace what root has there. Where nothing is at the path's end, others could create it in such a folder: a fault.
 */
export function walkTrusted(path: string): WalkedPath {
  const names = toAbsolute(path).split('/');
  let at = '/';
  let links = 0;
  let fault = faultOfFolder(at, lstatSync(at));
  while (names.length > 0 && fault === undefined) {
    const name = names.shift();
    if (name === undefined || name === '' || name === '.') continue;
    const parent = at;
    at = name === '..' ? dirname(parent) : join(parent, name);
    if (name === '..') continue;
    const stats = lstatSync(at, { throwIfNoEntry: false });
    if (stats === undefined) {
      return { path: join(at, ...names), stats, fault: faultOfPlace(parent, at) };
    }
    if (stats.isSymbolicLink()) {
      links += 1;
      fault =
        links > MAX_LINKS
          ? toFault(at, 'is reached through too many links')
          : faultOfOwner(at, stats);
      const target = readlinkSync(at);
      names.unshift(...target.split('/'));
      at = isAbsolute(target) ? '/' : parent;
    } else if (stats.isDirectory()) fault = faultOfFolder(at, stats);
    else if (names.some((rest) => rest !== '')) fault = toFault(at, 'is not a directory');
  }
  const stats = lstatSync(at);
  return { path: at, stats, fault: fault ?? faultOfEnd(at, stats) };
}

/** The path without links. Throws ERR_STACKSHIM_PATH_UNTRUSTED that begins with `use` (`use root folder`) and names the entry at fault. */
export function requireTrustedPath(path: string, use: string): string {
  let walked: WalkedPath;
  try {
    walked = walkTrusted(path);
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `${use} ${path}`);
  }
  const { path: real, fault } = walked;
  if (fault === undefined) return real;
  throw new StackshimError(
    'ERR_STACKSHIM_PATH_UNTRUSTED',
    `${use} ${path}: ${fault.path} ${fault.problem}`,
    {
      details: { path, fault: fault.path },
      hint: fault.hint,
    },
  );
}

/** On the way: in a sticky folder of root's nobody else removes or renames what root has there. */
function faultOfFolder(path: string, stats: Owned): PathFault | undefined {
  return faultOfOwner(path, stats) ?? (isSticky(stats) ? undefined : faultOfMode(path, stats));
}

/** Of what is there itself, wherever it lies. */
export const faultOfEnd = (path: string, stats: Owned) =>
  faultOfOwner(path, stats) ?? faultOfMode(path, stats);

function faultOfOwner(path: string, stats: Owned): PathFault | undefined {
  if (isOurs(stats)) return undefined;
  const problem = `is owned by uid ${stats.uid}, neither root nor this user`;
  return toFault(path, problem, `check its content, then run chown -h root ${path}`);
}

function faultOfMode(path: string, stats: Owned): PathFault | undefined {
  if (!isWritableByOthers(stats)) return undefined;
  return toFault(
    path,
    'is writable by group or others',
    `check its content, then run chmod go-w ${path}`,
  );
}

/** For a missing entry: any user who can write in `folder` could create it. */
function faultOfPlace(folder: string, missing: string): PathFault | undefined {
  if (!isWritableByOthers(lstatSync(folder))) return undefined;
  return toFault(folder, `lets other users create ${missing}`, `create ${missing} as root first`);
}

const toFault = (path: string, problem: string, hint?: string): PathFault => ({
  path,
  problem,
  hint,
});
