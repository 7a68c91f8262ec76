/** Checks one entry: adapts it to the policy, leaves it out, or refuses it. */
import { IDS_PER_SLOT } from '../core/host-ids.ts';
import { type ArchiveLimits, MAX_LINK_BYTES, MAX_NAME_BYTES } from './archive-limits.ts';
import { type ArchivePolicy, toDisplayPath, toInvalidArchive } from './archive-policy.ts';
import { leadsOutside, parseEntryPath, parseWhiteout } from './entry-path.ts';
import type { EntryTree } from './entry-tree.ts';
import { isPosixAcl, parsePosixAcl } from './posix-acl.ts';
import { shiftBuildCapability } from './shift-capability.ts';
import { type ByteString, NO_XATTRS, type TarEntry, type Timestamp } from './tar-entry.ts';

export interface EntryContext {
  readonly policy: ArchivePolicy;
  readonly limits: ArchiveLimits;
  /** The entries so far. */
  readonly tree: EntryTree;
  /** Seconds since 1970; later file times are set to this one. */
  readonly mtimeCeiling?: number | undefined;
}

/** The entry to write; undefined to leave it out. Precondition: its path is already plain. */
export function checkEntry(entry: TarEntry, context: EntryContext): TarEntry | undefined {
  const { policy } = context;
  const fault = faultOfPlace(entry, context) ?? faultOfKind(entry, policy);
  if (fault !== undefined) throw toInvalidArchive(policy, fault, entry.path);
  const linkTarget = entry.kind === 'hardlink' ? resolveHardLink(entry, context) : entry.linkTarget;
  if (linkTarget === undefined) return undefined;
  if (policy.ownership !== 'root') checkOwner(entry, policy);
  const owner = policy.ownership === 'root' ? { uid: 0, gid: 0 } : {};
  const isBare = policy.ownership !== 'keep' && entry.kind !== 'directory';
  const mode = isBare ? entry.mode & 0o777 : entry.mode;
  if (policy.xattrs && entry.hasTextAcl) {
    // Without the list, users whom the list excludes could open the entry.
    throw toInvalidArchive(policy, 'has an access control list as text (SCHILY.acl)', entry.path);
  }
  const xattrs = cleanXattrs(entry, policy);
  if (xattrs.size > 0 && context.tree.isAttributed(entry.path)) {
    // mkfs.erofs would keep both values of a repeated attribute.
    throw toInvalidArchive(policy, 'a folder with attributes occurs twice', entry.path);
  }
  const mtime = clampTime(entry.mtime, context.mtimeCeiling);
  return { ...entry, ...owner, mode, linkTarget, mtime, xattrs };
}

/** Refuses a second entry at the same path: readers differ on its meaning. */
function faultOfPlace({ path, kind }: TarEntry, { tree }: EntryContext): string | undefined {
  if (path === '' && kind !== 'directory') return 'the root is not a folder';
  const blocker = tree.blockerOf(path);
  if (blocker !== undefined) {
    return `lies below "${toDisplayPath(blocker)}", a ${tree.kindAt(blocker)}`;
  }
  const taken = tree.kindAt(path);
  if (taken === undefined || taken === 'dropped') return undefined;
  if (taken === 'directory' && kind === 'directory') return undefined;
  return `exists already as a ${taken}`;
}

/** A task has no such id: the file would silently belong to nobody there. */
function checkOwner({ path, uid, gid }: TarEntry, policy: ArchivePolicy): void {
  const id = Math.max(uid, gid);
  if (id < IDS_PER_SLOT) return;
  const what = id === uid ? 'user' : 'group';
  const reason = `belongs to ${what} ${id}, and ids end at ${IDS_PER_SLOT - 1}`;
  throw toInvalidArchive(policy, reason, path);
}

function faultOfKind(entry: TarEntry, policy: ArchivePolicy): string | undefined {
  const { path, kind, linkTarget } = entry;
  if (kind === 'device') return 'is a device';
  if (kind === 'fifo' && !policy.fifos) return 'is a named pipe';
  if (kind !== 'symlink') return undefined;
  if (linkTarget === '') return 'symbolic link to nothing';
  if (linkTarget.includes('\0')) return 'symbolic link with a NUL';
  if (linkTarget.length > MAX_LINK_BYTES)
    return `symbolic link of more than ${MAX_LINK_BYTES} bytes`;
  if (policy.outwardLinks || !leadsOutside(path, linkTarget)) return undefined;
  return `symbolic link to "${toDisplayPath(linkTarget)}" leads outside`;
}

/**
 * The target's plain path; undefined if the target was left out. Refuses a target in a layer below: a hard link cannot lead to another
 * filesystem. Builders copy such a file, so the link is a mistake.
 */
function resolveHardLink(entry: TarEntry, context: EntryContext): ByteString | undefined {
  const { policy, limits, tree } = context;
  const shown = toDisplayPath(entry.linkTarget);
  const parsed = parseEntryPath(entry.linkTarget, limits, policy.absoluteNames);
  if (typeof parsed === 'string') {
    throw toInvalidArchive(policy, `hard link to "${shown}": ${parsed}`, entry.path);
  }
  const kind = parseWhiteout(parsed.path).kind === 'none' ? tree.kindAt(parsed.path) : undefined;
  if (kind === 'dropped') return undefined;
  if (kind === undefined || kind === 'directory') {
    const reason =
      kind === undefined ? `not a file of this ${policy.subject} before it` : 'a folder';
    throw toInvalidArchive(policy, `hard link to "${shown}": ${reason}`, entry.path);
  }
  return parsed.path;
}

function clampTime(mtime: Timestamp, ceiling: number | undefined): Timestamp {
  if (ceiling === undefined || mtime.seconds < ceiling) return mtime;
  return { seconds: ceiling, nanoseconds: 0 };
}

const KEPT_XATTRS = ['user.', 'trusted.', 'security.'];
const USER_XATTRS = ['user.'];
/** Attributes that control overlayfs. */
const REFUSED_XATTRS = ['trusted.overlay.', 'user.overlay.'];

/** Leaves out attributes of other systems (`com.apple.…`), which have no meaning here. */
function cleanXattrs(entry: TarEntry, policy: ArchivePolicy): TarEntry['xattrs'] {
  if (!policy.xattrs || entry.xattrs.size === 0) return NO_XATTRS;
  const prefixes = policy.xattrs === 'user' ? USER_XATTRS : KEPT_XATTRS;
  const kept = new Map<ByteString, Buffer>();
  for (const [name, value] of entry.xattrs) {
    if (REFUSED_XATTRS.some((prefix) => name.startsWith(prefix))) {
      throw toInvalidArchive(policy, `has the attribute ${toDisplayPath(name)}`, entry.path);
    }
    if (isPosixAcl(name)) {
      const acl = parsePosixAcl(value);
      if (typeof acl === 'string') throw toInvalidArchive(policy, acl, entry.path);
      kept.set(name, value);
      continue;
    }
    const isKept = prefixes.some((prefix) => name.startsWith(prefix) && name !== prefix);
    if (!isKept || name.length > MAX_NAME_BYTES) continue;
    kept.set(name, name === 'security.capability' ? shiftBuildCapability(value) : value);
  }
  return kept;
}
