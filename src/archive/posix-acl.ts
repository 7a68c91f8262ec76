/** Reads POSIX access control lists in extended attributes (acl(5), linux/posix_acl_xattr.h), and shifts their ids. */

import { INVALID_ID } from '../core/host-ids.ts';

const NAMES: ReadonlySet<string> = new Set(['system.posix_acl_access', 'system.posix_acl_default']);
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const TAG = { userOwner: 1, user: 2, groupOwner: 4, group: 8, mask: 0x10, other: 0x20 } as const;
const TAGS: ReadonlySet<number> = new Set(Object.values(TAG));
const ALL_PERMISSIONS = 7;

export interface AclEntry {
  readonly tag: number;
  /** Id of a named user or group; undefined for other entries. */
  readonly id: number | undefined;
  /** Offset of the id in the value. */
  readonly at: number;
}

export const isPosixAcl = (name: string): boolean => NAMES.has(name);

/** The entries, or the reason why the value is no list. */
export function parsePosixAcl(value: Buffer): readonly AclEntry[] | string {
  const isWhole = value.length > HEADER_BYTES && (value.length - HEADER_BYTES) % ENTRY_BYTES === 0;
  if (!isWhole || value.readUInt32LE(0) !== VERSION) return 'its access control list is malformed';
  const entries: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = value.readUInt16LE(at);
    const permissions = value.readUInt16LE(at + 2);
    const id = value.readUInt32LE(at + 4);
    const isNamed = tag === TAG.user || tag === TAG.group;
    if (!TAGS.has(tag) || permissions > ALL_PERMISSIONS || (isNamed && id >= INVALID_ID)) {
      return 'its access control list is malformed';
    }
    entries.push({ tag, id: isNamed ? id : undefined, at: at + 4 });
  }
  return isInOrder(entries) ? entries : 'its access control list is malformed';
}

/** Checks the order that the kernel requires; it ignores any other list. */
function isInOrder(entries: readonly AclEntry[]): boolean {
  const count = (tag: number) => entries.filter((entry) => entry.tag === tag).length;
  const isSorted = entries.every(({ tag }, index) => tag >= (entries[index - 1]?.tag ?? 0));
  const isNamed = count(TAG.user) + count(TAG.group) > 0;
  const once = [TAG.userOwner, TAG.groupOwner, TAG.other].every((tag) => count(tag) === 1);
  return isSorted && once && count(TAG.mask) <= 1 && (!isNamed || count(TAG.mask) === 1);
}

/** The list with `idBase` subtracted from its ids; or a reason, if one of them is not among the `idCount` ids from `idBase` on. */
export function shiftPosixAcl(value: Buffer, idBase: number, idCount: number): Buffer | string {
  const entries = parsePosixAcl(value);
  if (typeof entries === 'string') return entries;
  const shifted = Buffer.from(value);
  for (const { tag, id, at } of entries) {
    if (id === undefined) continue;
    const moved = id - idBase;
    if (moved < 0 || moved >= idCount) {
      const what = tag === TAG.user ? 'user' : 'group';
      return `its access control list names ${what} ${id}, which is not an id of the task`;
    }
    shifted.writeUInt32LE(moved, at);
  }
  return shifted;
}
