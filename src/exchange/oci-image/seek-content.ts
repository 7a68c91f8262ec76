/** Finds the content digests that stored images still lack after their import: when a caller names one, or in `migrate`. */
import { messageOf, StackshimError } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { isImageStored, type PinnedImage, readImage } from '../../store/images/image.ts';
import { isNamed, lacksContentDigest } from '../../store/images/image-names.ts';
import { resolveStack, unknownDigestOf } from '../../store/stacks/resolve-stack.ts';
import { readRevision, readRevisionNumbers } from '../../store/stacks/revisions.ts';
import { withHeldStore } from '../../store/store-lease.ts';
import { withLock } from '../../store/with-lock.ts';
import { type ContentOptions, nameContent } from './name-content.ts';

/** Another process may be packing a large image. */
const WAIT_MS = 600_000;
const DAMAGE: readonly string[] = ['ERR_STACKSHIM_IMAGE_CORRUPT', 'ERR_STACKSHIM_LAYER_CORRUPT'];

interface NameStoredOptions extends ContentOptions {
  /** Called before each image; `index` counts from 0. */
  readonly onImage?: (digest: ImageDigest, index: number) => void;
  /** Called after each named image; false ends the work. */
  readonly goesOn?: (digest: ImageDigest) => boolean;
}

export interface NamedImages {
  /** Images that now have a content digest. */
  readonly images: readonly ImageDigest[];
  /** Images that are damaged, or have a missing or damaged layer; they stay unchanged. */
  readonly damaged: readonly ImageDigest[];
}

/**
 * Names the images one after another. Processes share the work: one packs an image, the others wait and find it named. Throws
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

/**
 * Runs `look`. If `look` throws because no image of a stack has a digest, computes the missing content digests of that stack's images until one
 * matches, and runs `look` again. Throws the errors of `look`; a failed search becomes the cause of the error.
 */
export async function seekingContent<T>(
  layout: Layout,
  look: () => T | Promise<T>,
  options: ContentOptions,
): Promise<T> {
  for (;;) {
    try {
      return await look();
    } catch (error) {
      const unknown = unknownDigestOf(error);
      if (unknown === undefined) throw error;
      await findUnknown(layout, unknown, { ...options, error: error as StackshimError });
      // `look` throws its own error for an abort.
      if (options.signal?.aborted) return await look();
    }
  }
}

/** Like `resolveStack`, but also finds content digests that are not known yet. */
export const resolveByContent = (
  layout: Layout,
  reference: StackReference,
  options: ContentOptions,
): Promise<PinnedImage> => seekingContent(layout, () => resolveStack(layout, reference), options);

/** Throws `error` unless an image of the stack turns out to have the digest or `signal` has aborted. */
async function findUnknown(
  layout: Layout,
  { stack, digest }: NonNullable<ReturnType<typeof unknownDigestOf>>,
  { error, ...options }: ContentOptions & { readonly error: StackshimError },
): Promise<void> {
  const images = readRevisionNumbers(layout, stack)
    .reverse()
    .flatMap((number) => readRevision(layout, stack, number)?.image ?? [])
    .filter((image) => isImageStored(layout, image) && lacksContentDigest(layout, image));
  let found = false;
  const goesOn = (image: ImageDigest) => {
    found = isNamed(layout, image, digest);
    return !found;
  };
  let damaged: readonly ImageDigest[] = [];
  try {
    if (images.length > 0) {
      ({ damaged } = await nameStoredImages(layout, [...new Set(images)], { ...options, goesOn }));
    }
  } catch (cause) {
    if (options.signal?.aborted) return;
    const reason = `the content digests of imported images could not be found (${messageOf(cause)})`;
    throw withHint(error, { hint: `${reason}; correct that and try again`, cause });
  }
  if (found) return;
  if (damaged.length === 0) throw error;
  const reason = `image ${damaged[0]} of the stack is damaged, so its content digest is unknown`;
  throw withHint(error, { hint: `${reason}; run stackshim verify` });
}

const withHint = (
  { code, message, details }: StackshimError,
  options: { readonly hint: string; readonly cause?: unknown },
) => new StackshimError(code, message, { details, ...options });
