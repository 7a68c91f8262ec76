/** The files `images/<hex>.json`: what an image consists of, immutable under its digest. */
import { existsSync } from 'node:fs';
import { type ImageDigest, isImageDigest } from '../core/ids.ts';
import { imagesDir, type Layout } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/files.ts';
import type { Image } from './image.ts';
import { checkImageFile, FORMAT_VERSION, type StoredVersion } from './stored-formats.ts';
import { readStoredJson, toCorrupt } from './stored-json.ts';

export const imageFile = (layout: Layout, digest: ImageDigest) =>
  `${imagesDir(layout)}/${digest.slice('sha256:'.length)}.json`;

/** Whether the image is stored. One system call: a task asks it once its record keeps the image from collection. */
export const isImageStored = (layout: Layout, digest: ImageDigest): boolean =>
  existsSync(imageFile(layout, digest));

const kind = { code: 'ERR_STACKSHIM_IMAGE_CORRUPT', what: 'image file' } as const;

/** Stores an image durably. Writing the same image again changes nothing. Its layers must be stored before. */
export async function writeImage(layout: Layout, image: Image): Promise<void> {
  const path = imageFile(layout, image.digest);
  const stored = { version: FORMAT_VERSION, ...image };
  await guardDisk(`write image ${image.digest}`, async () => {
    await ensureDirectory(imagesDir(layout), 0o755);
    await writeFileAtomic(path, `${JSON.stringify(stored, null, 2)}\n`, { durable: true });
  });
}

/**
 * Reads a stored image. Blocks, for a file read.
 * Throws ERR_STACKSHIM_IMAGE_CORRUPT when the file is missing, unreadable or another image's.
 */
export function readImage(layout: Layout, digest: ImageDigest): Image {
  if (!isImageDigest(digest)) throw toCorrupt(imagesDir(layout), 'not an image digest', kind);
  const path = imageFile(layout, digest);
  const stored = readStoredJson<Image & StoredVersion>(path, { ...kind, check: checkImageFile });
  if (stored === undefined) throw toCorrupt(path, 'missing', kind);
  if (stored.digest !== digest) throw toCorrupt(path, `holds ${stored.digest}`, kind);
  const { version: _, ...image } = stored;
  return image;
}
