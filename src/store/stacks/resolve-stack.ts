/**
 * Resolves a reference to a stack, which may name a revision or an image, to the image that a task runs on. Tasks without such a pin need
 * only `current-image.ts`.
 */
import { hasCode, StackshimError } from '../../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { type PinnedImage, readImage } from '../images/image.ts';
import { isNamed } from '../images/image-names.ts';
import { cachedGeneration, findCurrentImage } from './current-image.ts';
import { revisionIn } from './generations.ts';
import { toNearNames } from './near-names.ts';
import { type Revision, readRevision, readRevisionNumbers, requireRevision } from './revisions.ts';

/**
 * The image of a stack's current revision, or of the revision that `reference` names. For a name that was resolved before, the current
 * revision costs one readlink and one lstat. Missing or damaged layers are found when they are mounted.
 *
 * Throws ERR_STACKSHIM_STACK_NOT_FOUND (with similar names), ERR_STACKSHIM_STACK_CORRUPT, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export function resolveStack(layout: Layout, reference: StackReference): PinnedImage {
  const { name, revision, image } = reference;
  if (revision === undefined && image === undefined) {
    const found = findCurrentImage(layout, name);
    if (found === undefined) throw toNotFound(layout, name);
    return found;
  }
  const entry =
    revision === undefined
      ? findRevisionOfImage(layout, name, image as ImageDigest)
      : findRevision(layout, name, revision);
  if (image !== undefined && !isNamed(layout, entry.image, image)) {
    const message = `find stack ${name}: revision ${entry.revision} does not have the image ${image}`;
    const details = { stack: name, revision: entry.revision, image: entry.image, asked: image };
    throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', message, { details });
  }
  return { stack: name, revision: entry.revision, image: readImage(layout, entry.image) };
}

function findRevision(layout: Layout, name: StackName, revision: number): Revision {
  const entry = readRevision(layout, name, revision);
  if (entry !== undefined) return entry;
  if (readRevisionNumbers(layout, name).length === 0) throw toNotFound(layout, name);
  return requireRevision(layout, name, revision);
}

/** The current revision if its image has the digest, otherwise the newest one that has it. An image's own digest takes precedence over its other names. */
function findRevisionOfImage(layout: Layout, name: StackName, image: ImageDigest): Revision {
  const current = revisionIn(cachedGeneration(layout), name);
  const numbers = readRevisionNumbers(layout, name).reverse();
  if (numbers.length === 0) throw toNotFound(layout, name);
  const entries = (current === undefined ? numbers : [current, ...numbers]).flatMap(
    (number) => readRevision(layout, name, number) ?? [],
  );
  const found =
    entries.find((entry) => entry.image === image) ??
    entries.find((entry) => isNamed(layout, entry.image, image));
  if (found !== undefined) return found;
  const message = `find stack ${name}: no revision has the image ${image}`;
  throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', message, {
    details: { stack: name, image, path: stackDir(layout, name), asked: image },
    hint: 'run stackshim stack show to list the digests by which an image is known',
  });
}

/** The unknown digest, if that is why {@link resolveStack} threw `error`; otherwise undefined. Pure. */
export function unknownDigestOf(
  error: unknown,
): { readonly stack: StackName; readonly digest: ImageDigest } | undefined {
  if (!hasCode(error, 'ERR_STACKSHIM_STACK_NOT_FOUND')) return undefined;
  const { stack, asked } = error.details;
  if (typeof stack !== 'string' || typeof asked !== 'string') return undefined;
  return isStackName(stack) && isImageDigest(asked) ? { stack, digest: asked } : undefined;
}

function toNotFound(layout: Layout, name: StackName): StackshimError {
  const near = toNearNames(name, Object.keys(cachedGeneration(layout)?.stacks ?? {}));
  const hint =
    near.length > 0
      ? `did you mean ${near.join(' or ')}? run stackshim stack ls to list the stacks`
      : 'run stackshim stack ls to list the stacks, or stackshim stack build to make one';
  return new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `find stack ${name}: no such stack`, {
    hint,
    details: { stack: name, near },
  });
}
