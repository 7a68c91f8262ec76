/** Parses what `stack import` takes: paths, and images in the syntax of skopeo and podman (`oci:DIR:TAG`, `docker://REGISTRY/NAME:TAG`, …). */
import { StackshimError } from '../../core/errors.ts';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';

/** A folder with an OCI layout, a tar of one, and an archive written by `docker save`. */
const FILE_KINDS = ['oci', 'oci-archive', 'docker-archive'] as const;

export type ImageReference =
  /** For an archive of docker, `tag` is one of its repository tags. */
  | { readonly kind: (typeof FILE_KINDS)[number]; readonly path: string; readonly tag?: string }
  /** `name` is everything after `docker://`, without the tag if there is a digest. */
  | { readonly kind: 'docker'; readonly name: string }
  /** A folder or a file: a root filesystem with `isRootfs`, otherwise its content shows what it is. `-` stands for standard input. */
  | { readonly kind: 'path'; readonly path: string; readonly isRootfs: boolean };

const MAX_CHARS = 1024;
const ROOTFS = 'rootfs:';
/** The scheme of another program. Before a path with a colon in its first name, write `./` or `rootfs:`. */
const OTHER_SCHEME = /^[a-z][a-z0-9+.-]*:/i;
/** Host with port, path components, tag or digest. No program can take this for an option or a second argument. */
const REGISTRY_NAME =
  /^[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?::[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** Parses a reference. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `reference`. */
export function parseImageReference(text: string): ImageReference {
  if (text.length > MAX_CHARS || text.includes('\0')) throw toInvalidReference(text, 'too long');
  if (text.startsWith('docker://')) {
    const name = parseRegistryName(text, 'docker://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]');
    // Skopeo refuses a tag beside a digest.
    return { kind: 'docker', name: name.replace(/:[^/:@]+(?=@sha256:)/, '') };
  }
  if (text.startsWith(ROOTFS)) return toPath(text, text.slice(ROOTFS.length), true);
  const kind = FILE_KINDS.find((known) => text.startsWith(`${known}:`));
  if (kind === undefined) {
    const [scheme] = OTHER_SCHEME.exec(text) ?? [];
    if (scheme === undefined) return toPath(text, text, false);
    const known = 'oci:, oci-archive:, docker-archive:, docker:// and rootfs:';
    throw toInvalidReference(text, `${scheme} is none of ${known}`);
  }
  const rest = text.slice(kind.length + 1);
  const colon = rest.indexOf(':');
  const path = colon === -1 ? rest : rest.slice(0, colon);
  if (path === '') throw toInvalidReference(text, 'names no file');
  const tag = colon === -1 ? '' : rest.slice(colon + 1);
  return tag === '' ? { kind, path } : { kind, path, tag };
}

function toPath(text: string, path: string, isRootfs: boolean): ImageReference {
  if (path === '') throw toInvalidReference(text, 'names no file');
  return { kind: 'path', path, isRootfs };
}

/** The name without tag and digest. */
export const repositoryOf = (name: string): string =>
  name.replace(/@sha256:[0-9a-f]{64}$/, '').replace(/:[^/:]+$/, '');

/** The tag by which `push` tells the content digest: the registry's own digest differs. */
export const toContentTag = (content: ImageDigest): string => content.replace(':', '-');

/** Parses `docker://HOST[:PORT]/NAME[:TAG]@sha256:DIGEST` into `HOST[:PORT]/NAME` and digest. Throws like {@link parseImageReference}. */
export function parsePinnedName(text: string): {
  readonly repository: string;
  readonly digest: ImageDigest;
} {
  const form = 'docker://HOST[:PORT]/NAME@sha256:DIGEST';
  const name = parseRegistryName(text, form);
  const digest = name.slice(name.indexOf('@') + 1);
  if (!isImageDigest(digest)) throw toInvalidReference(text, `is not ${form}`);
  return { repository: repositoryOf(name), digest };
}

/** The part after `docker://` of a push target, which has no digest. Throws like {@link parseImageReference}. */
export function parsePushName(text: string): string {
  const form = 'docker://HOST[:PORT]/NAME[:TAG]';
  if (text.includes('@')) throw toInvalidReference(text, `is not ${form}`);
  return parseRegistryName(text, form);
}

function parseRegistryName(text: string, form: string): string {
  const name = text.startsWith('docker://') ? text.slice('docker://'.length) : '';
  if (name.length <= MAX_CHARS && REGISTRY_NAME.test(name)) return name;
  throw toInvalidReference(text, `is not ${form}`);
}

function toInvalidReference(text: string, reason: string): StackshimError {
  const shown = JSON.stringify(text.slice(0, 200));
  const message = `read image reference ${shown}: ${reason}`;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
    hint: 'name a folder or tar of a root filesystem, or use one of the forms oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://HOST/NAME:TAG (docs/stacks.md)',
    details: { field: 'reference' },
  });
}
