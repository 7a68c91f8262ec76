/** Resolves `name|uid[:group|gid]` to numbers, by the image's own passwd and group files. */
import { fstatSync, openSync, readSync } from 'node:fs';
import { StackshimError, unlessMissing } from '../core/errors.ts';
import { withFd, withSystemFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import type { OciUser } from './oci-config.ts';

/** The largest id that runtimes accept. */
const MAX_ID = 2_147_483_647;
const MAX_TEXT = 1_048_576;
const MAX_GROUPS = 256;
const MAX_SHOWN_CHARS = 200;

export interface ResolvedUser extends OciUser {
  /** The home directory from passwd; absent if passwd does not list the user. */
  readonly home?: string | undefined;
}

/**
 * Resolves a user as docker does. A name must be in the files; a number need not, and its group is then 0. Without a group, the user has
 * the group of its passwd entry and the groups that list it as a member. An empty `user` is root; a missing file counts as empty. Throws
 * ERR_STACKSHIM_SPEC_INVALID for the field `user`.
 */
export function resolveUser(user: string, passwdText: string, groupText: string): ResolvedUser {
  const [userPart = '', groupPart = '', ...rest] = user.split(':');
  if (rest.length > 0) throw invalidUser('not NAME|UID or NAME|UID:GROUP|GID', user);
  const asked = userPart === '' ? '0' : userPart;
  const entry = find(parsePasswd(passwdText), asked, ({ uid }) => uid);
  const uid = entry?.uid ?? toId(asked);
  if (uid === undefined) throw invalidUser('the image has no user of this name', user);
  const groups = parseGroups(groupText);
  const home = entry?.home;
  if (groupPart !== '') {
    const gid = find(groups, groupPart, (group) => group.gid)?.gid ?? toId(groupPart);
    if (gid === undefined) throw invalidUser('the image has no group of this name', user);
    return { uid, gid, additionalGids: [], home };
  }
  if (entry === undefined) return { uid, gid: 0, additionalGids: [], home };
  const { name, gid } = entry;
  const others = groups.filter((group) => group.gid !== gid && group.members.includes(name));
  const gids = new Set(others.map((group) => group.gid));
  return { uid, gid, additionalGids: [...gids].slice(0, MAX_GROUPS), home };
}

/** Returns the entry with that name, else the one with that number. */
const find = <E extends { readonly name: string }>(
  entries: readonly E[],
  asked: string,
  idOf: (entry: E) => number,
): E | undefined =>
  entries.find(({ name }) => name === asked) ?? entries.find((one) => idOf(one) === toId(asked));

const parsePasswd = (text: string) =>
  fieldsOf(text).flatMap(([name = '', , uidText = '', gidText = '', , home = '']) => {
    const [uid, gid] = [toId(uidText), toId(gidText)];
    if (name === '' || uid === undefined || gid === undefined) return [];
    return [{ name, uid, gid, home: home.startsWith('/') && !home.includes('\0') ? home : '/' }];
  });

const parseGroups = (text: string) =>
  fieldsOf(text).flatMap(([name = '', , gidText = '', members = '']) => {
    const gid = toId(gidText);
    return name === '' || gid === undefined ? [] : [{ name, gid, members: members.split(',') }];
  });

/** Splits lines into colon-separated fields. The callers skip malformed lines, as libc does. Throws for a text that is too long. */
function fieldsOf(text: string): readonly string[][] {
  if (text.length > MAX_TEXT) {
    throw invalidUser(`the image's passwd or group file is longer than ${MAX_TEXT} characters`);
  }
  return text.split('\n').map((line) => line.split(':'));
}

function toId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function invalidUser(problem: string, user?: string): StackshimError {
  // The name comes from the image and may have any length.
  const value = user?.slice(0, MAX_SHOWN_CHARS);
  const shown = value === undefined ? '' : ` ${JSON.stringify(value)}`;
  const details = { field: 'user', value };
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `user${shown}: ${problem}`, { details });
}

/** A user database of an image is small. Docker also stops reading at a limit. */
const MAX_DATABASE_BYTES = 1024 * 1024;

/**
 * Returns the user that the command runs as. Looks names up in the image's own files; each path is resolved beneath its root.
 *
 * @param user `name|uid[:group|gid]`; empty: root.
 * @param rootfs The mounted root filesystem of a task that does not run yet, or of an image.
 */
export function resolveTaskUser(system: System, user: string, rootfs: string): ResolvedUser {
  return withFd(openSync(rootfs, 'r'), (root) => {
    const read = (path: string) => readBeneath(system, root, path);
    return resolveUser(user, read('etc/passwd'), read('etc/group'));
  });
}

/** Returns an empty text if the image has no such file. */
function readBeneath(system: System, root: number, path: string): string {
  const fd = unlessMissing(() => system.openInRoot(root, path));
  if (fd === undefined) return '';
  return withSystemFd(system, fd, () => {
    const text = Buffer.alloc(Math.min(fstatSync(fd).size, MAX_DATABASE_BYTES));
    return text.toString('utf8', 0, readSync(fd, text));
  });
}
