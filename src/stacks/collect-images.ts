/** Removes image files that nothing needs, so that a task which names one at the last moment keeps it. */
import { renameSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import type { ImageDigest } from '../core/ids.ts';
import { imagesDir, type Layout } from '../core/layout.ts';
import { namesIn } from '../sys/files.ts';
import { syncDirectory } from '../sys/write-file.ts';
import { imageFile } from './image.ts';
import { imageNamesFile } from './image-names.ts';
import { listStoredImages } from './list-stored.ts';

const SET_ASIDE = '.collected';

/**
 * Removes the images, but for those that `findNamed` tells of after they are out of sight: a task writes its record first
 * and then looks whether its image is still there, so one of the two sees the other. Returns those that are gone.
 * A process that dies half way leaves images set aside: {@link restoreImages} brings them back.
 */
export async function collectImages(
  layout: Layout,
  images: readonly ImageDigest[],
  findNamed: () => (image: ImageDigest) => boolean,
): Promise<readonly ImageDigest[]> {
  if (images.length === 0) return [];
  for (const image of images) renameSync(imageFile(layout, image), asideFile(layout, image));
  const isNamed = findNamed();
  const gone: ImageDigest[] = [];
  for (const image of images) {
    if (isNamed(image)) renameSync(asideFile(layout, image), imageFile(layout, image));
    else {
      await rm(imageNamesFile(layout, image), { force: true });
      await unlink(asideFile(layout, image));
      gone.push(image);
    }
  }
  await syncDirectory(imagesDir(layout));
  return gone;
}

/** Removes the other names of images that an earlier version, which does not know such files, has removed. */
export async function removeStrayNames(layout: Layout): Promise<void> {
  const stored = new Set(listStoredImages(layout).map((image) => imageNamesFile(layout, image)));
  for (const name of namesIn(imagesDir(layout))) {
    const path = `${imagesDir(layout)}/${name}`;
    if (name.endsWith('.names') && !stored.has(path)) await rm(path, { force: true });
  }
}

/** Brings back what a dead process had set aside. The caller keeps other processes from collecting. */
export function restoreImages(layout: Layout): void {
  for (const name of namesIn(imagesDir(layout))) {
    if (!name.endsWith(SET_ASIDE)) continue;
    const path = `${imagesDir(layout)}/${name}`;
    renameSync(path, path.slice(0, -SET_ASIDE.length));
  }
}

const asideFile = (layout: Layout, image: ImageDigest) => `${imageFile(layout, image)}${SET_ASIDE}`;
