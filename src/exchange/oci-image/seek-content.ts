/** Finds an image by the digest of its content. After an import this digest is unknown; it is computed when somebody asks for it. */
import { messageOf, StackshimError } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { isImageStored, type PinnedImage } from '../../store/images/image.ts';
import { isNamed, lacksContentDigest } from '../../store/images/image-names.ts';
import {
  resolveStack,
  type UnknownDigest,
  unknownDigestOf,
} from '../../store/stacks/resolve-stack.ts';
import { readRevision, readRevisionNumbers } from '../../store/stacks/revisions.ts';
import type { ContentOptions } from './name-content.ts';
import { nameStoredImages } from './name-stored.ts';

/**
 * Runs `look`. If it throws because no image of a stack has a digest, computes the missing content digests of that stack's images until one
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

/** Throws `error` unless an image of the stack turns out to have the digest, or `signal` has aborted. */
async function findUnknown(
  layout: Layout,
  { stack, digest }: UnknownDigest,
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
