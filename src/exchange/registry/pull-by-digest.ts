/** Pulls an image from a registry into the store by its digest, and verifies the digest. */
import { hasCode } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import {
  type Image,
  isImageStored,
  listStoredImages,
  readImage,
} from '../../store/images/image.ts';
import { isNamed } from '../../store/images/image-names.ts';
import { readSoundRecord } from '../../store/layers/layer-record.ts';
import { pinInStore } from '../../store/store-lease.ts';
import { withLock } from '../../store/with-lock.ts';
import { inWorkFolder } from '../in-work-folder.ts';
import { importImage } from '../oci-image/import-oci-layout.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';
import { toReporter } from '../progress.ts';
import type { ExchangeOptions } from '../publish-image.ts';
import { repositoryOf, toContentTag } from './image-reference.ts';
import { pullImage, readPulled } from './pull-image.ts';
import { type RegistryOptions, takeAuthFile } from './run-skopeo.ts';

export interface PullByDigestOptions extends ExchangeOptions, RegistryOptions {
  /** `HOST[:PORT]/NAME`: where to look for the image. */
  readonly repository: string;
  /** The content digest, which `push` tells the registry by a tag; or the registry's own digest. */
  readonly digest: ImageDigest;
  /**
   * Whether the stack or package for which the image is pulled already has it. Other stored images do not count: knowing the digest of another
   * tenant's package must not be enough to get the package, unless the repository has it, too.
   */
  readonly isOwn: (image: Image) => boolean;
}

/** Another process may be pulling a large image. */
const WAIT_MS = 3_600_000;

/** Pulls of this process, by root folder, repository and digest. */
const pulling = new Map<string, Promise<ImageDigest>>();

/**
 * Returns the image with the digest; pulls it first unless `isOwn` accepts the stored image. In one process, an image of a repository is pulled
 * once for all waiting callers; of several processes, one pulls at a time. An image with another digest is refused, and nothing of it stays.
 * Precondition: the caller holds the store until a revision names the image. Throws ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_IMAGE_INVALID, the
 * errors of `importOciLayout`, and the reason of an aborted `signal`.
 */
export async function pullByDigest(layout: Layout, options: PullByDigestOptions): Promise<Image> {
  const { repository, digest, signal, isOwn } = options;
  await pinInStore(layout, digest);
  const key = [layout.root, repository, digest].join('\0');
  for (;;) {
    const found = await findStored(layout, digest);
    if (found !== undefined && isOwn(found)) return found;
    const other = pulling.get(key);
    if (other !== undefined) {
      // The pull's own caller may have cancelled it: then this call pulls.
      const pulled = await unlessAborted(
        other.catch(() => undefined),
        signal === undefined ? [] : [signal],
      );
      const stored = pulled === undefined ? undefined : await findStored(layout, pulled);
      if (stored !== undefined) return stored;
    }
    if (pulling.has(key)) continue;
    const own = pullAlone(layout, options).finally(() => pulling.delete(key));
    pulling.set(key, own);
    const stored = await findStored(layout, await own);
    if (stored !== undefined) return stored;
  }
}

/** Finds the image and pins it with its layers; undefined if the image or a layer is not soundly stored. */
async function findStored(layout: Layout, digest: ImageDigest): Promise<Image | undefined> {
  const named = isImageStored(layout, digest)
    ? digest
    : listStoredImages(layout).find((image) => isNamed(layout, image, digest));
  if (named === undefined) return undefined;
  await pinInStore(layout, named);
  if (!isImageStored(layout, named)) return undefined;
  const image = readImage(layout, named);
  for (const id of image.layers) {
    await pinInStore(layout, id);
    if (readSoundRecord(layout, id) === undefined) return undefined;
  }
  return image;
}

/** One process pulls; the others wait. */
function pullAlone(layout: Layout, options: PullByDigestOptions): Promise<ImageDigest> {
  const { digest, system, signal, isOwn } = options;
  const name = `pull-${digest.slice('sha256:'.length)}`;
  return withLock(layout, name, { system, waitMs: WAIT_MS, signal }, async () => {
    const found = await findStored(layout, digest);
    if (found !== undefined && isOwn(found)) return found.digest;
    return await inWorkFolder(layout, (work) => pull(layout, options, work));
  });
}

async function pull(
  layout: Layout,
  options: PullByDigestOptions,
  work: string,
): Promise<ImageDigest> {
  const { repository, digest, system, signal } = options;
  const report = toReporter(options.onProgress);
  const run = { ...takeAuthFile(options, work), work, report };
  const base = repositoryOf(repository);
  report({ kind: 'step', step: 'fetch', text: `fetch ${base}@${digest}` });
  const byTag = await pullImage(`${base}:${toContentTag(digest)}`, run).catch((error) => {
    // The registry may have the image under its own digest. An unreachable registry fails twice.
    if (hasCode(error, 'ERR_STACKSHIM_REGISTRY_FAILED')) return undefined;
    throw error;
  });
  const pulled = byTag ?? (await pullImage(`${base}@${digest}`, run));
  const source = await readPulled(pulled);
  const isByContent = byTag !== undefined;
  if (!isByContent && !pulled.digests.includes(digest)) {
    throw toOther(base, digest, pulled.digests[0]);
  }
  report({ kind: 'step', step: 'import', text: `import ${base}@${digest}` });
  const importing = { system, onProgress: report, signal, isBuilt: isByContent };
  const image = await importImage(layout, source, importing);
  if (isByContent && image.digest !== digest) throw toOther(base, digest, image.digest);
  return image.digest;
}

const toOther = (base: string, asked: ImageDigest, got: ImageDigest | undefined) =>
  toInvalid(`pull ${base}: the image has the digest ${got}, not ${asked}`, {
    details: { repository: base, asked, got },
    hint: 'the registry gave another image than the one that was asked for: push it again',
  });
