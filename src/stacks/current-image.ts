/** From a stack's name to the image that it names now. On the path of every task: synchronous, and cached. */
import { lstatSync } from 'node:fs';
import type { StackName } from '../core/ids.ts';
import { currentLink, type Layout } from '../core/layout.ts';
import { toCorrupt } from '../layers/stored-json.ts';
import { type Generation, readCurrentTarget, readGenerationAt, revisionIn } from './generations.ts';
import type { PinnedImage } from './image.ts';
import { readImage } from './image.ts';
import { readRevision, revisionFile } from './revisions.ts';

/** What was read for one target of `current`. All of it is immutable, so only another target makes it stale. */
interface Resolved {
  readonly key: string;
  readonly generation: Generation;
  readonly pinned: Map<StackName, PinnedImage>;
}

const MOST_ROOTS = 16;
const resolvedByRoot = new Map<string, Resolved>();

/**
 * Undefined when there is no such stack. A name that was resolved before costs one readlink and one lstat. Missing or damaged layers
 * show when they are mounted. Throws ERR_STACKSHIM_STACK_CORRUPT, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export function findCurrentImage(layout: Layout, name: StackName): PinnedImage | undefined {
  const resolved = readResolved(layout);
  try {
    const found = pinCurrent(layout, name, resolved);
    if (found !== undefined) return found;
  } catch (error) {
    if (readResolved(layout)?.key === resolved?.key) throw error;
  }
  // A revision may have lost its place, and been removed, before its files were read.
  return pinCurrent(layout, name, readResolved(layout));
}

/** The current generation, cached; undefined where there is no stack yet. */
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
