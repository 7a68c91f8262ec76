/**
 * Decides whether anyone but root (or this process's user) could have replaced a path's target, who owns a file or folder, and what other users
 * may do with it.
 *
 * This differs from output/open-folder.ts. Here every entry on the way must belong to root, so nobody else can change one meanwhile, and names
 * are enough. Entries may be missing, and the entry at fault is reported. There, folders on the way may belong to others, so each one is held
 * open.
 */
import { chmodSync, lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { ensureDirectorySync } from './files.ts';
import { toAbsolute } from './paths.ts';

/** The entry that another user controls. */
export interface PathFault {
  readonly path: string;
  /** Completes the sentence `<path> …`. */
  readonly problem: string;
  /** The operator's remedy; undefined for the default hint of the error code. */
  readonly hint: string | undefined;
}

export interface WalkedPath {
  /** The path without links, if there is no fault. */
  readonly path: string;
  /** The status of the path's end; undefined if it does not exist. */
  readonly stats: Stats | undefined;
  readonly fault: PathFault | undefined;
}

/** The most links that Linux follows in one path: path_resolution(7). */
export const MAX_LINKS = 40;

/**
 * Follows a path from `/`, link by link. The end of the path and every folder and link on the way must belong to root or this process's user, and
 * must not be writable by group or others. One exception: a folder on the way may be writable if it is sticky, because others cannot replace
 * root's entries in it. If the end of the path does not exist, others could create it in such a folder, which is a fault.
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
      fault = faultOfOwner(at, stats);
      if (links > MAX_LINKS) fault = toFault(at, 'is reached through too many links');
      const target = readlinkSync(at);
      names.unshift(...target.split('/'));
      at = isAbsolute(target) ? '/' : parent;
    } else if (stats.isDirectory()) fault = faultOfFolder(at, stats);
    else if (names.some((rest) => rest !== '')) fault = toFault(at, 'is not a directory');
  }
  const stats = lstatSync(at);
  return { path: at, stats, fault: fault ?? faultOfEnd(at, stats) };
}

/** The path without links. Throws ERR_STACKSHIM_PATH_UNTRUSTED; the message begins with `use` (`use root folder`) and names the entry at fault. */
export function requireTrustedPath(path: string, use: string): string {
  let walked: WalkedPath;
  try {
    walked = walkTrusted(path);
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `${use} ${path}`);
  }
  const { path: real, fault } = walked;
  if (fault === undefined) return real;
  const message = `${use} ${path}: ${fault.path} ${fault.problem}`;
  const details = { path, fault: fault.path };
  throw new StackshimError('ERR_STACKSHIM_PATH_UNTRUSTED', message, { details, hint: fault.hint });
}

/** The fault of a folder on the way. In root's sticky folder, nobody else can remove or rename root's entries. */
function faultOfFolder(path: string, stats: Owned): PathFault | undefined {
  return faultOfOwner(path, stats) ?? (isSticky(stats) ? undefined : faultOfMode(path, stats));
}

/** The fault of a path's end, wherever it is. */
export const faultOfEnd = (path: string, stats: Owned) =>
  faultOfOwner(path, stats) ?? faultOfMode(path, stats);

function faultOfOwner(path: string, stats: Owned): PathFault | undefined {
  if (isOurs(stats)) return undefined;
  const problem = `is owned by uid ${stats.uid}, neither root nor this user`;
  return toFault(path, problem, `check its content, then run chown -h root ${path}`);
}

function faultOfMode(path: string, stats: Owned): PathFault | undefined {
  if (!isWritableByOthers(stats)) return undefined;
  const hint = `check its content, then run chmod go-w ${path}`;
  return toFault(path, 'is writable by group or others', hint);
}

/** The fault of a missing entry: anyone who can write to `folder` could create it. */
function faultOfPlace(folder: string, missing: string): PathFault | undefined {
  if (!isWritableByOthers(lstatSync(folder))) return undefined;
  return toFault(folder, `lets other users create ${missing}`, `create ${missing} as root first`);
}

const toFault = (path: string, problem: string, hint?: string) => ({ path, problem, hint });

export type Owned = Pick<Stats, 'uid' | 'mode'>;

/** Covers access control lists, too: the group bits are the most that a list grants, acl(5). */
const WRITE_BY_OTHERS = 0o022;
const ANY_BY_OTHERS = 0o077;
const STICKY = 0o1000;

/** Whether the file belongs to root or to this process's user. */
export const isOurs = ({ uid }: Pick<Owned, 'uid'>): boolean =>
  uid === 0 || uid === process.geteuid?.();

const isWritableByOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & WRITE_BY_OTHERS) !== 0;

/** Whether other users may read, write or enter. */
export const isOpenToOthers = ({ mode }: Pick<Owned, 'mode'>): boolean =>
  (mode & ANY_BY_OTHERS) !== 0;

export const withoutOthers = (mode: number): number => mode & 0o7777 & ~ANY_BY_OTHERS;

/** Whether no other user can change the file, or create entries in the folder. */
export const isOursAlone = (stats: Owned): boolean => isOurs(stats) && !isWritableByOthers(stats);

/** Whether users can remove or rename only their own entries in the folder. */
export const isSticky = ({ mode }: Pick<Owned, 'mode'>): boolean => (mode & STICKY) !== 0;

/** Creates the folder, accessible only to its owner, if missing. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if others can write to it. */
export function ensureOwnFolder(path: string): void {
  ensureDirectorySync(path, 0o700);
  if (isOwnFolder(path)) return;
  const message = `use folder ${path}: users other than root can write to it`;
  const hint = `remove ${path}; stackshim creates it again`;
  throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, { hint, details: { path } });
}

/** Like {@link ensureOwnFolder}, and removes all rights of other users, so that they cannot enter. */
export function ensureClosedFolder(path: string): void {
  ensureOwnFolder(path);
  const stats = lstatSync(path);
  if (isOpenToOthers(stats)) chmodSync(path, withoutOthers(stats.mode));
}

/** Whether `path` is a folder that no other user may write to. */
export function isOwnFolder(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && isOursAlone(stats);
}
