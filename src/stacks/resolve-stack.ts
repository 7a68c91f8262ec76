/** From a stack's name to the image a task runs on. On the path of every task: synchronous, and cached. */
import { lstatSync } from 'node:fs';
import { hasCode, StackshimError } from '../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import { currentLink, type Layout, stackDir } from '../core/layout.ts';
import { toCorrupt } from '../layers/stored-json.ts';
import type { StackReference } from '../spec/task-spec.ts';
import { type Generation, readCurrentTarget, readGenerationAt, revisionIn } from './generations.ts';
import type { PinnedImage } from './image.ts';
import { readImage } from './image-files.ts';
import { isNamed } from './image-names.ts';
import { toNearNames } from './near-names.ts';
import {
  type Revision,
  readRevision,
  readRevisionNumbers,
  requireRevision,
  revisionFile,
} from './revisions.ts';

/** What was read for one target of `current`. All of it is immutable, so only another target makes it stale. */
interface Resolved {
  readonly key: string;
  readonly generation: Generation;
  readonly pinned: Map<StackName, PinnedImage>;
}

const MOST_ROOTS = 16;
const resolvedByRoot = new Map<string, Resolved>();

/**
 * The image that a stack names now, or that one of its revisions has. The current revision of a name that was resolved
 * before costs one readlink and one lstat. Missing or damaged layers show when they are mounted.
 *
 * Throws ERR_STACKSHIM_STACK_NOT_FOUND (with near names), ERR_STACKSHIM_STACK_CORRUPT, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export function resolveStack(layout: Layout, reference: StackReference): PinnedImage {
  const { name, revision, image } = reference;
  if (revision === undefined && image === undefined) return resolveCurrent(layout, name);
  const entry =
    revision === undefined
      ? findRevisionOfImage(layout, name, image as ImageDigest)
      : findRevision(layout, name, revision);
  if (image !== undefined && !isNamed(layout, entry.image, image)) {
    throw new StackshimError(
      'ERR_STACKSHIM_STACK_NOT_FOUND',
      `find stack ${name}: revision ${entry.revision} does not have the image ${image}`,
      {
        details: { stack: name, revision: entry.revision, image: entry.image, asked: image },
      },
    );
  }
  return { stack: name, revision: entry.revision, image: readImage(layout, entry.image) };
}

function resolveCurrent(layout: Layout, name: StackName): PinnedImage {
  const resolved = readResolved(layout);
  try {
    return pinCurrent(layout, name, resolved);
  } catch (error) {
    // A revision may have lost its place, and been removed, before its files were read.
    const now = readResolved(layout);
    if (now?.key === resolved?.key) throw error;
    return pinCurrent(layout, name, now);
  }
}

function pinCurrent(layout: Layout, name: StackName, resolved: Resolved | undefined): PinnedImage {
  const known = resolved?.pinned.get(name);
  if (known !== undefined) return known;
  const revision = revisionIn(resolved?.generation, name);
  if (resolved === undefined || revision === undefined) {
    throw toNotFound(name, resolved?.generation);
  }
  const entry = readRevision(layout, name, revision);
  if (entry === undefined) {
    throw toCorrupt(revisionFile(layout, name, revision), 'missing', {
      code: 'ERR_STACKSHIM_STACK_CORRUPT',
      what: 'revision file',
    });
  }
  const pinned = { stack: name, revision, image: readImage(layout, entry.image) };
  resolved.pinned.set(name, pinned);
  return pinned;
}

function readResolved(layout: Layout): Resolved | undefined {
  const target = readCurrentTarget(layout);
  if (target === undefined) return undefined;
  // The link's own inode and time as well: a root that was removed and made anew counts from 1 again.
  const link = lstatSync(currentLink(layout), { throwIfNoEntry: false });
  const key = `${target} ${link?.ino} ${link?.ctimeMs}`;
  const known = resolvedByRoot.get(layout.root);
  if (known?.key === key) return known;
  const resolved = { key, generation: readGenerationAt(layout, target), pinned: new Map() };
  if (!resolvedByRoot.has(layout.root) && resolvedByRoot.size >= MOST_ROOTS) resolvedByRoot.clear();
  resolvedByRoot.set(layout.root, resolved);
  return resolved;
}

function findRevision(layout: Layout, name: StackName, revision: number): Revision {
  const entry = readRevision(layout, name, revision);
  if (entry !== undefined) return entry;
  if (readRevisionNumbers(layout, name).length === 0) {
    throw toNotFound(name, readResolved(layout)?.generation);
  }
  return requireRevision(layout, name, revision);
}

/** The current revision if its image has the digest, else the newest that has it. An image's own digest goes before its other names. */
function findRevisionOfImage(layout: Layout, name: StackName, image: ImageDigest): Revision {
  const current = revisionIn(readResolved(layout)?.generation, name);
  const numbers = readRevisionNumbers(layout, name).reverse();
  if (numbers.length === 0) throw toNotFound(name, readResolved(layout)?.generation);
  const entries = (current === undefined ? numbers : [current, ...numbers]).flatMap(
    (number) => readRevision(layout, name, number) ?? [],
  );
  const found =
    entries.find((entry) => entry.image === image) ??
    entries.find((entry) => isNamed(layout, entry.image, image));
  if (found !== undefined) return found;
  throw new StackshimError(
    'ERR_STACKSHIM_STACK_NOT_FOUND',
    `find stack ${name}: no revision has the image ${image}`,
    {
      details: { stack: name, image, path: stackDir(layout, name), asked: image },
      hint: 'run stackshim stack show to list the digests by which an image is known',
    },
  );
}

export interface UnknownDigest {
  readonly stack: StackName;
  readonly digest: ImageDigest;
}

/** The digest that no image of a stack was known by, where that is why {@link resolveStack} threw. Pure. */
export function unknownDigestOf(error: unknown): UnknownDigest | undefined {
  if (!hasCode(error, 'ERR_STACKSHIM_STACK_NOT_FOUND')) return undefined;
  const { stack, asked } = error.details;
  if (typeof stack !== 'string' || typeof asked !== 'string') return undefined;
  return isStackName(stack) && isImageDigest(asked) ? { stack, digest: asked } : undefined;
}

function toNotFound(name: StackName, generation: Generation | undefined): StackshimError {
  const names = Object.keys(generation?.stacks ?? {});
  const near = toNearNames(name, names);
  const hint =
    near.length > 0
      ? `did you mean ${near.join(' or ')}? run stackshim stack ls to list the stacks`
      : 'run stackshim stack ls to list the stacks, or stackshim stack build to make one';
  return new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `find stack ${name}: no such stack`, {
    hint,
    details: { stack: name, near },
  });
}
