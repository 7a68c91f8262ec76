/** Tells a root filesystem from an image by the top-level names of a folder or archive. Pure. */
import type { ByteString } from '../../archive/tar-entry.ts';

/** `unclear`: has an image's files and others, or an incomplete image. `empty`: has no names at all. */
export type SourceKind = 'rootfs' | 'oci' | 'docker' | 'unclear' | 'empty';

export interface TopNames {
  /** Adds a path in the folder or archive. */
  add(path: ByteString): void;
  /** True once later names can at most make the source unclear. */
  isSettled(): boolean;
  /** True if a top-level name of Linux root filesystems was added. */
  looksLikeLinux(): boolean;
  kind(): SourceKind;
}

/** Top-level names of OCI layouts and of archives of `docker save`, old and new. */
const OF_IMAGES =
  /^(?:blobs|oci-layout|index\.json|manifest\.json|repositories|version|[0-9a-f]{64}(?:\.json|\.tar(?:\.gz)?)?)$/;
const OF_LINUX: ReadonlySet<string> = new Set(['bin', 'sbin', 'usr', 'etc', 'lib']);

export function collectTopNames(): TopNames {
  const found = { oci: false, docker: false, ofImages: false, other: false, linux: false };
  return {
    add(path) {
      const name = path.split('/').find((part) => part !== '' && part !== '.');
      if (name === undefined) return;
      if (name === 'oci-layout') found.oci = true;
      if (name === 'manifest.json') found.docker = true;
      if (OF_LINUX.has(name)) found.linux = true;
      if (OF_IMAGES.test(name)) found.ofImages = true;
      else found.other = true;
    },
    isSettled: () => found.other && (found.oci || found.linux || !found.docker),
    looksLikeLinux: () => found.linux,
    kind() {
      const { oci, docker, ofImages, other, linux } = found;
      if (!other) return oci ? 'oci' : docker ? 'docker' : ofImages ? 'unclear' : 'empty';
      // A program may have a manifest.json in the root of its image; no root filesystem has the marker of an OCI layout.
      return oci || (docker && !linux) ? 'unclear' : 'rootfs';
    },
  };
}
