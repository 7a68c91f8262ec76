/** Lists the stacks and images on disk, whether or not anything refers to them. */
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import { imagesDir, type Layout, stacksDir } from '../core/layout.ts';
import { namesIn } from '../sys/files.ts';

const IMAGE_FILE = /^([0-9a-f]{64})\.json$/;

/** Names of the stacks that have, or had, a revision, sorted. */
export const listStoredStacks = (layout: Layout): readonly StackName[] =>
  namesIn(stacksDir(layout)).filter(isStackName).sort();

/** Digests of the stored images, sorted. */
export const listStoredImages = (layout: Layout): readonly ImageDigest[] =>
  namesIn(imagesDir(layout))
    .map((name) => `sha256:${IMAGE_FILE.exec(name)?.[1] ?? ''}`)
    .filter(isImageDigest)
    .sort();
