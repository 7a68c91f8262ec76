/** Which stacks and images there are on disk, whether or not anything refers to them. */
import { readdirSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import { imagesDir, type Layout } from '../core/layout.ts';

const IMAGE_FILE = /^([0-9a-f]{64})\.json$/;

/** Names of the stacks that have, or had, a revision, in order. */
export const listStoredStacks = (layout: Layout): readonly StackName[] =>
  namesIn(`${layout.root}/stacks`).filter(isStackName).sort();

/** Digests of the stored images, in order. */
export const listStoredImages = (layout: Layout): readonly ImageDigest[] =>
  namesIn(imagesDir(layout))
    .map((name) => `sha256:${IMAGE_FILE.exec(name)?.[1] ?? ''}`)
    .filter(isImageDigest)
    .sort();

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
