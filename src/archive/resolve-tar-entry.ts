/** Combines a header with its preceding extension headers into one entry. */
import { INVALID_ID } from '../core/host-ids.ts';
import { MAX_XATTR_BYTES } from './archive-limits.ts';
import type { TarHeader } from './parse-tar-header.ts';
import type { ByteString, EntryKind, TarEntry, Timestamp } from './tar-entry.ts';

/** Extension header values for the next entry. */
export interface Extensions {
  pax: ReadonlyMap<ByteString, Buffer> | undefined;
  longPath: ByteString | undefined;
  longLink: ByteString | undefined;
}

const KINDS: ReadonlyMap<string, EntryKind> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'device'],
  ['4', 'device'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

const XATTR_KEY = 'SCHILY.xattr.';
/** Written by `tar --acls`; with `--xattrs`, each is in an attribute, too. */
const TEXT_ACLS = [
  ['SCHILY.acl.access', 'system.posix_acl_access'],
  ['SCHILY.acl.default', 'system.posix_acl_default'],
] as const;
/** The most that a record of an attribute adds to name and value. */
const XATTR_RECORD_BYTES = 32;
/** EROFS and all its readers store seconds in 64 bits; this is the last one that JavaScript represents exactly. */
const MAX_SECONDS = Number.MAX_SAFE_INTEGER;

/** The entry, or the reason why it is invalid. */
export function resolveTarEntry(header: TarHeader, extensions: Extensions): TarEntry | string {
  const pax = extensions.pax ?? new Map<ByteString, Buffer>();
  for (const key of pax.keys()) {
    if (key.startsWith('GNU.sparse.') || key === 'SCHILY.realsize') return 'sparse file';
  }
  const path = textOf(pax, 'path') ?? extensions.longPath ?? header.path;
  const linkTarget = textOf(pax, 'linkpath') ?? extensions.longLink ?? header.linkTarget;
  const kind = kindOf(header.typeflag, path);
  if (kind === undefined) {
    return header.typeflag === 'S'
      ? 'sparse file'
      : `unknown type ${JSON.stringify(header.typeflag)}`;
  }
  const size = idOf(pax, 'size', Number.MAX_SAFE_INTEGER) ?? header.size;
  const uid = idOf(pax, 'uid', INVALID_ID - 1) ?? header.uid;
  const gid = idOf(pax, 'gid', INVALID_ID - 1) ?? header.gid;
  if (Number.isNaN(size)) return 'size is not a number of bytes';
  if (!isId(uid) || !isId(gid)) return 'owner is not a user and group id';
  // Programs differ on whether bytes follow: either choice would show other programs other entries.
  if (kind !== 'file' && size !== 0) return `${kind} with a size`;
  const mtime = mtimeOf(pax, header);
  if (mtime === undefined) return 'mtime is not a time';
  const xattrs = xattrsOf(pax);
  if (typeof xattrs === 'string') return xattrs;
  const isLink = kind === 'symlink' || kind === 'hardlink';
  return {
    kind,
    path,
    mode: header.mode & 0o7777,
    uid,
    gid,
    mtime,
    size,
    linkTarget: isLink ? linkTarget : '',
    xattrs,
    ...(header.isZeroDevice ? { isZeroDevice: true } : {}),
    ...(hasTextAcl(pax, xattrs) ? { hasTextAcl: true } : {}),
  };
}

/** Writers before POSIX mark a directory only by a trailing slash. */
function kindOf(typeflag: string, path: ByteString): EntryKind | undefined {
  const kind = KINDS.get(typeflag);
  return kind === 'file' && path.endsWith('/') ? 'directory' : kind;
}

const isId = (id: number): boolean => id >= 0 && id < INVALID_ID;

function textOf(pax: ReadonlyMap<ByteString, Buffer>, key: string): ByteString | undefined {
  const value = pax.get(key)?.toString('latin1');
  // POSIX: an empty value revokes the record.
  return value === '' ? undefined : value;
}

/** A whole number from 0 to `maximum`; NaN for anything else. */
function idOf(
  pax: ReadonlyMap<ByteString, Buffer>,
  key: string,
  maximum: number,
): number | undefined {
  const text = textOf(pax, key);
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return value <= maximum ? value : Number.NaN;
}

/** Times before 1970 count as 1970: an EROFS inode cannot store them. */
function mtimeOf(pax: ReadonlyMap<ByteString, Buffer>, header: TarHeader): Timestamp | undefined {
  const text = textOf(pax, 'mtime');
  if (text === undefined) return { seconds: Math.max(0, header.mtime), nanoseconds: 0 };
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) return undefined;
  if (match[1] === '-') return { seconds: 0, nanoseconds: 0 };
  const seconds = Number(match[2]);
  if (seconds > MAX_SECONDS) return undefined;
  return { seconds, nanoseconds: Number((match[3] ?? '').slice(0, 9).padEnd(9, '0')) };
}

/** Ignores the list of owner, group and others that GNU tar writes for every file: it says no more than the mode. */
const hasTextAcl = (pax: ReadonlyMap<ByteString, Buffer>, xattrs: TarEntry['xattrs']) =>
  TEXT_ACLS.some(([key, attribute]) => {
    const text = textOf(pax, key);
    return text !== undefined && !xattrs.has(attribute) && !isOfMode(key, text);
  });

const isOfMode = (key: ByteString, text: ByteString) =>
  key === 'SCHILY.acl.access' && !/(?:user|group|u|g):[^:,\n]|mask|(?:^|[,\n])m:/.test(text);

function xattrsOf(pax: ReadonlyMap<ByteString, Buffer>): TarEntry['xattrs'] | string {
  const xattrs = new Map<ByteString, Buffer>();
  let bytes = 0;
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_KEY)) continue;
    const name = key.slice(XATTR_KEY.length);
    xattrs.set(name, value);
    bytes += XATTR_RECORD_BYTES + name.length + value.length;
  }
  if (bytes > MAX_XATTR_BYTES) return `extended attributes of more than ${MAX_XATTR_BYTES} bytes`;
  return xattrs;
}
