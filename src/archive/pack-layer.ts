/** Packs a folder as an OCI layer's tar: a mounted layer, or an overlay's upper directory. Deletions become `.wh.` names. */
import { INVALID_ID } from '../core/host-ids.ts';
import { type ArchiveLimits, LAYER_LIMITS } from './archive-limits.ts';
import {
  type ArchivePolicy,
  LAYER_POLICY,
  toArchiveTooLarge,
  toInvalidArchive,
} from './archive-policy.ts';
import { encodeTarEntry, TAR_TRAILER } from './encode-tar-entry.ts';
import { parseEntryPath, toOpaquePath, toWhiteoutPath } from './entry-path.ts';
import { paddingOf } from './parse-tar-header.ts';
import { isPosixAcl, shiftPosixAcl } from './posix-acl.ts';
import { shiftCapability } from './shift-capability.ts';
import { requirePacked, startTar } from './start-tar.ts';
import {
  type ByteString,
  EMPTY_FILE,
  type EntrySink,
  NO_XATTRS,
  type TarEntry,
} from './tar-entry.ts';
import { createTarParser } from './tar-parser.ts';

export interface PackLayerOptions {
  /** Host id of the files' id 0, subtracted from every owner. Default: 0. */
  readonly idBase?: number;
  /** Number of ids from `idBase` on. Default: all. */
  readonly idCount?: number;
  /** The folder's place in the layer, without slashes at its ends; hides what the layers below have there. Default: the root. */
  readonly at?: ByteString | undefined;
  /** Default: a layer's limits. */
  readonly limits?: ArchiveLimits | undefined;
  readonly policy?: ArchivePolicy | undefined;
  readonly signal?: AbortSignal | undefined;
}

const OVERLAY_XATTR = 'trusted.overlay.';
const WHITEOUT_PREFIX = '.wh.';
/** Extended attributes by which an overlay marks content or a name that is stored elsewhere. */
const INCOMPLETE = ['metacopy', 'redirect'];

/**
 * The tar's bytes; equal folders give equal tars, with every version of `tar`. Names are in byte order. Keeps hard links, attributes, access
 * control lists and file capabilities; leaves out sockets and devices. Throws ERR_STACKSHIM_LAYER_INVALID for content that a layer cannot have,
 * ERR_STACKSHIM_LAYER_TOO_LARGE, and ERR_STACKSHIM_SYSTEM if the folder cannot be read.
 */
export async function* packLayer(
  folder: string,
  options: PackLayerOptions = {},
): AsyncGenerator<Buffer> {
  const { policy = LAYER_POLICY, limits = LAYER_LIMITS, signal } = options;
  const tar = await startTar(folder, signal);
  const ready: Buffer[] = [];
  const take = () => Buffer.concat(ready.splice(0));
  const parser = createTarParser(policy, limits, packInto(ready, options));
  try {
    for await (const chunk of tar.stdout) {
      parser.push(chunk as Buffer);
      if (ready.length > 0) yield take();
    }
    signal?.throwIfAborted();
    requirePacked(await tar.exited, folder);
    parser.end();
    yield Buffer.concat([take(), TAR_TRAILER]);
  } finally {
    tar.killAll();
  }
}

function packInto(ready: Buffer[], options: PackLayerOptions): EntrySink {
  const { policy = LAYER_POLICY, limits = LAYER_LIMITS } = options;
  let contentLeft = 0;
  let padding = 0;
  let bytes = 0;
  return {
    entry(entry) {
      // A sparse file costs its writer nothing: refuse it by its announced size, before reading its zeros.
      bytes += entry.size;
      if (bytes > limits.bytes) throw toArchiveTooLarge(policy, 'bytes', limits.bytes);
      contentLeft = entry.size;
      padding = paddingOf(entry.size);
      for (const one of toLayerEntries(entry, options)) ready.push(...encodeTarEntry(one));
    },
    data(chunk) {
      ready.push(chunk);
      contentLeft -= chunk.length;
      if (contentLeft === 0 && padding > 0) ready.push(Buffer.alloc(padding));
    },
  };
}

/** The layer entries for an entry of the folder: itself, a whiteout, itself and an opaque marker, or none. */
function toLayerEntries(entry: TarEntry, options: PackLayerOptions): readonly TarEntry[] {
  const {
    policy = LAYER_POLICY,
    limits = LAYER_LIMITS,
    idBase = 0,
    idCount = INVALID_ID,
  } = options;
  const parsed = parseEntryPath(entry.path, limits);
  if (typeof parsed === 'string') throw toInvalidArchive(policy, parsed, entry.path);
  const path = options.at === undefined ? parsed.path : joinPath(options.at, parsed.path);
  if (path.slice(path.lastIndexOf('/') + 1).startsWith(WHITEOUT_PREFIX)) {
    throw toInvalidArchive(policy, 'its name would delete another file in a layer', path);
  }
  if (entry.isZeroDevice) return [{ ...EMPTY_FILE, path: toWhiteoutPath(path) }];
  if (entry.kind === 'device') return [];
  const xattrs = keepXattrs(entry, options);
  const [uid, gid] = [entry.uid - idBase, entry.gid - idBase];
  if (Math.min(uid, gid) < 0 || Math.max(uid, gid) >= idCount) {
    const reason = `belongs to ${entry.uid}:${entry.gid}, which is not an id of the task`;
    throw toInvalidArchive(policy, reason, path);
  }
  const owned = { ...entry, path, uid, gid, xattrs };
  return hasOpaqueMark(entry) || path === options.at
    ? [owned, { ...EMPTY_FILE, path: toOpaquePath(path) }]
    : [owned];
}

const joinPath = (folder: ByteString, path: ByteString) =>
  path === '' ? folder : `${folder}/${path}`;

const hasOpaqueMark = ({ kind, xattrs }: TarEntry) =>
  kind === 'directory' && xattrs.get(`${OVERLAY_XATTR}opaque`)?.toString('latin1') === 'y';

function keepXattrs(
  { path, xattrs }: TarEntry,
  { idBase = 0, idCount = INVALID_ID, policy = LAYER_POLICY }: PackLayerOptions,
): ReadonlyMap<ByteString, Buffer> {
  if (xattrs.size === 0) return NO_XATTRS;
  const kept = new Map<ByteString, Buffer>();
  for (const [name, value] of xattrs) {
    if (INCOMPLETE.some((mark) => name === `${OVERLAY_XATTR}${mark}`)) {
      throw toInvalidArchive(policy, `has the attribute ${name}`, path);
    }
    if (name.startsWith(OVERLAY_XATTR)) continue;
    if (isPosixAcl(name)) {
      const acl = shiftPosixAcl(value, idBase, idCount);
      if (typeof acl === 'string') throw toInvalidArchive(policy, acl, path);
      kept.set(name, acl);
    } else if (name === 'security.capability') kept.set(name, shiftCapability(value, idBase));
    else kept.set(name, value);
  }
  return kept;
}
