/** Finds the content digests of stored images that are not known yet. */
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { isImageStored, readImage } from '../../store/images/image.ts';
import { lacksContentDigest } from '../../store/images/image-names.ts';
import { withHeldStore } from '../../store/store-lease.ts';
import { withLock } from '../../store/with-lock.ts';
import { type ContentOptions, nameContent } from './name-content.ts';

/** Another process may pack a large image meanwhile. */
const WAIT_MS = 600_000;
const DAMAGE: readonly string[] = ['ERR_STACKSHIM_IMAGE_CORRUPT', 'ERR_STACKSHIM_LAYER_CORRUPT'];

export interface NameStoredOptions extends ContentOptions {
  /** Called before each image; `index` counts from 0. */
  readonly onImage?: (digest: ImageDigest, index: number) => void;
  /** Called after each named image; returning false ends the work. */
  readonly goesOn?: (digest: ImageDigest) => boolean;
}

export interface NamedImages {
  /** Images that have been named by their content. */
  readonly images: readonly ImageDigest[];
  /** Images that are damaged, or have a missing or damaged layer; they stay as they are. */
  readonly damaged: readonly ImageDigest[];
}

/**
 * Names the images in turn. Processes that want the same image at the same time share the work: one packs it, the others wait. Throws
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_SYSTEM, and the reason of an aborted `signal`.
 */
export async function nameStoredImages(
  layout: Layout,
  digests: readonly ImageDigest[],
  options: NameStoredOptions,
): Promise<NamedImages> {
  const { system, signal, onImage, goesOn } = options;
  const images: ImageDigest[] = [];
  const damaged: ImageDigest[] = [];
  await withHeldStore(layout, system, async (lease) => {
    const nameUnlessNamed = async (digest: ImageDigest): Promise<boolean> => {
      if (!lacksContentDigest(layout, digest)) return true;
      try {
        const image = readImage(layout, digest);
        for (const id of image.layers) await lease.pin(id);
        await nameContent(layout, image, { system, signal });
        return true;
      } catch (error) {
        if (error instanceof StackshimError && DAMAGE.includes(error.code)) return false;
        throw error;
      }
    };
    for (const [index, digest] of digests.entries()) {
      signal?.throwIfAborted();
      onImage?.(digest, index);
      await lease.pin(digest);
      // The image has been collected meanwhile.
      if (!isImageStored(layout, digest)) continue;
      const isNamed = await withLock(layout, 'content', { system, waitMs: WAIT_MS, signal }, () =>
        nameUnlessNamed(digest),
      );
      (isNamed ? images : damaged).push(digest);
      if (isNamed && goesOn?.(digest) === false) return;
    }
  });
  return { images, damaged };
}
