/** Normalises or refuses paths inside an archive. Pure text, no filesystem. */
import { type ArchiveLimits, MAX_NAME_BYTES } from './archive-limits.ts';
import type { ByteString } from './tar-entry.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** A name with a leading slash: take it as one below the archive's root, or refuse it. */
export type AbsoluteNames = 'beneath' | 'refuse';

/** The path without `.`, empty components and trailing slashes; empty for the root. For a refused path, the reason. */
export function parseEntryPath(
  path: ByteString,
  limits: ArchiveLimits,
  absolute: AbsoluteNames = 'refuse',
): { readonly path: ByteString } | string {
  if (path === '') return 'empty name';
  if (absolute === 'refuse' && path.startsWith('/')) return 'absolute name';
  if (path.includes('\0')) return 'name with a NUL';
  if (path.length > limits.pathBytes) return `name of more than ${limits.pathBytes} bytes`;
  const components = path.split('/').filter((part) => part !== '' && part !== '.');
  if (components.length > limits.depth) return `more than ${limits.depth} folders deep`;
  for (const part of components) {
    if (part === '..') return 'name with ".."';
    // The name that a whiteout hides may have the full length.
    const nameBytes = part.length - (part.startsWith(WHITEOUT) ? WHITEOUT.length : 0);
    if (nameBytes > MAX_NAME_BYTES) return `name part of more than ${MAX_NAME_BYTES} bytes`;
  }
  return { path: components.join('/') };
}

/** The folder of a plain path; empty for an entry of the root. */
export function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

const baseNameOf = (path: ByteString): ByteString => path.slice(path.lastIndexOf('/') + 1);

/** Whether a symbolic link at the plain path `path` leads outside the archive. Looks only at both texts. */
export function leadsOutside(path: ByteString, linkTarget: ByteString): boolean {
  if (linkTarget.startsWith('/')) return true;
  let depth = path.split('/').length - 1;
  for (const part of linkTarget.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}

/** The meaning of a plain path in a layer (image-spec, layer.md, Whiteouts). */
export type WhiteoutMeaning =
  | { readonly kind: 'none' }
  /** Deletes `path` of the layers below. */
  | { readonly kind: 'whiteout'; readonly path: ByteString }
  /** Deletes all content of folder `path` in the layers below. */
  | { readonly kind: 'opaque'; readonly path: ByteString }
  | { readonly kind: 'odd' };

export function parseWhiteout(path: ByteString): WhiteoutMeaning {
  if (!path.startsWith(WHITEOUT) && !path.includes(`/${WHITEOUT}`)) return { kind: 'none' };
  const parent = parentOf(path);
  const name = baseNameOf(path);
  if (parent.startsWith(WHITEOUT) || parent.includes(`/${WHITEOUT}`)) return { kind: 'odd' };
  if (name === OPAQUE) return { kind: 'opaque', path: parent };
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === '' || hidden === '.' || hidden === '..' || hidden.startsWith(WHITEOUT)) {
    return { kind: 'odd' };
  }
  return { kind: 'whiteout', path: parent === '' ? hidden : `${parent}/${hidden}` };
}

/** The name that marks `path` as deleted. */
export function toWhiteoutPath(path: ByteString): ByteString {
  const parent = parentOf(path);
  return `${parent === '' ? '' : `${parent}/`}${WHITEOUT}${baseNameOf(path)}`;
}

/** The name that marks folder `path` as opaque. */
export const toOpaquePath = (path: ByteString): ByteString => `${path}/${OPAQUE}`;
