/** Removes unneeded image files. A task that names an image at the last moment keeps that image. */
import { renameSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import type { ImageDigest } from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import { namesIn } from '../../sys/files.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { imageFile, listStoredImages } from './image.ts';
import { imageNamesFile } from './image-names.ts';

const COLLECTED_SUFFIX = '.collected';

/**
 * Sets the images aside, then removes those that `findNamed` does not report. A task writes its record first and then checks that its image is
 * stored, so either the task or this function sees the other. Returns the removed images. A process that dies half-way leaves images under another
 * name; {@link restoreImages} brings them back.
 */
export async function collectImages(
  layout: Layout,
  images: readonly ImageDigest[],
  findNamed: () => (image: ImageDigest) => boolean,
): Promise<readonly ImageDigest[]> {
  if (images.length === 0) return [];
  for (const image of images) renameSync(imageFile(layout, image), collectedFile(layout, image));
  const isNamed = findNamed();
  const gone: ImageDigest[] = [];
  for (const image of images) {
    if (isNamed(image)) renameSync(collectedFile(layout, image), imageFile(layout, image));
    else {
      await rm(imageNamesFile(layout, image), { force: true });
      await unlink(collectedFile(layout, image));
      gone.push(image);
    }
  }
  await syncDirectory(imagesDir(layout));
  return gone;
}

/** Removes the names files of images that an earlier version of stackshim removed: that version does not know these files. */
export async function removeStrayNames(layout: Layout): Promise<void> {
  const stored = new Set(listStoredImages(layout).map((image) => imageNamesFile(layout, image)));
  for (const name of namesIn(imagesDir(layout))) {
    const path = `${imagesDir(layout)}/${name}`;
    if (name.endsWith('.names') && !stored.has(path)) await rm(path, { force: true });
  }
}

/** Brings back images that a dead process had set aside. Precondition: no other process can collect. */
export function restoreImages(layout: Layout): void {
  for (const name of namesIn(imagesDir(layout))) {
    if (!name.endsWith(COLLECTED_SUFFIX)) continue;
    const path = `${imagesDir(layout)}/${name}`;
    renameSync(path, path.slice(0, -COLLECTED_SUFFIX.length));
  }
}

const collectedFile = (layout: Layout, image: ImageDigest) =>
  `${imageFile(layout, image)}${COLLECTED_SUFFIX}`;
