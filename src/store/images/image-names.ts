/**
 * The files `images/<hex>.names`: other digests of a stored image. The first is the content digest, the same wherever the image came from. The
 * others were seen on this machine: digests of manifests and configs that led to the image, or with which it was pushed.
 */
import { existsSync } from 'node:fs';
import type { ImageDigest } from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import { listOf, optional } from '../../core/read-fields.ts';
import { imageDigest, readStoredCache, storedFields } from '../stored-json.ts';

export interface ImageNames {
  /** Digest of the manifest that `stack export` writes for the image. Absent until known. */
  readonly content?: ImageDigest | undefined;
  /** Latest last. */
  readonly others: readonly ImageDigest[];
}

/** An image usually has few; for an image pushed again and again, the latest are kept. */
export const MAX_OTHERS = 64;

const reader = storedFields<ImageNames>({
  content: optional(imageDigest),
  others: listOf(imageDigest, MAX_OTHERS),
});

export const imageNamesFile = (layout: Layout, image: ImageDigest) =>
  `${imagesDir(layout)}/${image.slice('sha256:'.length)}.names`;

/** Blocks. Empty if the file is missing or damaged: `migrate` writes it again. Throws ERR_STACKSHIM_FORMAT_NEWER. */
export function readImageNames(layout: Layout, image: ImageDigest): ImageNames {
  const kind = { code: 'ERR_STACKSHIM_IMAGE_CORRUPT', what: 'names of image' } as const;
  return readStoredCache(imageNamesFile(layout, image), { ...kind, reader }) ?? { others: [] };
}

/** Whether a digest names a stored image: as its own, its content digest, or another known digest. */
export function isNamed(layout: Layout, image: ImageDigest, digest: ImageDigest): boolean {
  if (image === digest) return true;
  const { content, others } = readImageNames(layout, image);
  return content === digest || others.includes(digest);
}

/** Whether the content digest of the image is still unknown. */
export const lacksContentDigest = (layout: Layout, image: ImageDigest): boolean =>
  !existsSync(imageNamesFile(layout, image)) || readImageNames(layout, image).content === undefined;
