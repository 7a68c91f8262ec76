/** Resolves a stack's name to its current image. Synchronous and cached, because every task needs it. */
import { lstatSync } from 'node:fs';
import type { StackName } from '../../core/ids.ts';
import { currentLink, type Layout } from '../../core/layout.ts';
import { type PinnedImage, readImage } from '../images/image.ts';
import { type Generation, readCurrentTarget, readGenerationAt, revisionIn } from './generations.ts';
import { readRevision, toMissing } from './revisions.ts';

/** What was read for one target of `current`. Immutable files, so it stays valid until the target changes. */
interface Resolved {
  readonly key: string;
  readonly generation: Generation;
  readonly pinned: Map<StackName, PinnedImage>;
}

const MAX_ROOTS = 16;
const resolvedByRoot = new Map<string, Resolved>();

/**
 * Finds the current image of a stack; undefined if the stack does not exist. A name resolved before costs one readlink and one lstat. Missing or
 * damaged layers are found only when they are mounted. Throws ERR_STACKSHIM_STACK_CORRUPT, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export function findCurrentImage(layout: Layout, name: StackName): PinnedImage | undefined {
  const resolved = readResolved(layout);
  try {
    const found = pinCurrent(layout, name, resolved);
    if (found !== undefined) return found;
  } catch (error) {
    if (readResolved(layout)?.key === resolved?.key) throw error;
  }
  // The revision may have been replaced and removed before its files were read.
  return pinCurrent(layout, name, readResolved(layout));
}

/** The current generation, cached; undefined if no stack exists yet. */
export const cachedGeneration = (layout: Layout): Generation | undefined =>
  readResolved(layout)?.generation;

function pinCurrent(
  layout: Layout,
  name: StackName,
  resolved: Resolved | undefined,
): PinnedImage | undefined {
  const known = resolved?.pinned.get(name);
  if (known !== undefined) return known;
  const revision = revisionIn(resolved?.generation, name);
  if (resolved === undefined || revision === undefined) return undefined;
  const entry = readRevision(layout, name, revision);
  if (entry === undefined) throw toMissing(layout, name, revision);
  const pinned = { stack: name, revision, image: readImage(layout, entry.image) };
  resolved.pinned.set(name, pinned);
  return pinned;
}

function readResolved(layout: Layout): Resolved | undefined {
  const target = readCurrentTarget(layout);
  if (target === undefined) return undefined;
  // Include the link's inode and ctime: in a root folder that was removed and created again, numbers start from 1 again.
  const link = lstatSync(currentLink(layout), { throwIfNoEntry: false });
  const key = `${target} ${link?.ino} ${link?.ctimeMs}`;
  const known = resolvedByRoot.get(layout.root);
  if (known?.key === key) return known;
  const resolved = { key, generation: readGenerationAt(layout, target), pinned: new Map() };
  if (!resolvedByRoot.has(layout.root) && resolvedByRoot.size >= MAX_ROOTS) resolvedByRoot.clear();
  resolvedByRoot.set(layout.root, resolved);
  return resolved;
}
