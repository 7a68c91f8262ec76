/**
 * The files `images/<hex>.names`: the other digests of a stored image. The first is that of its content, which is the same wherever the
 * image came from. The others were seen here: of manifests and configs that led to it, or with which it was pushed.
 */
import { existsSync } from 'node:fs';
import type { ImageDigest } from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import { listOf, optional } from '../../core/read-fields.ts';
import { imageDigest, readStoredCache, storedFields } from '../stored-json.ts';

export interface ImageNames {
  /** Digest of the manifest that `stack export` writes for it. Absent until it is known. */
  readonly content?: ImageDigest | undefined;
  /** Latest last. */
  readonly others: readonly ImageDigest[];
}

/** An image usually has few; of an image that is pushed again and again, the latest are kept. */
export const MAX_OTHERS = 64;

const reader = storedFields<ImageNames>({
  content: optional(imageDigest),
  others: listOf(imageDigest, MAX_OTHERS),
});

export const imageNamesFile = (layout: Layout, image: ImageDigest) =>
  `${imagesDir(layout)}/${image.slice('sha256:'.length)}.names`;

/** Reads the names. Blocks. Empty if the file is missing or damaged: `migrate` makes it again. Throws ERR_STACKSHIM_FORMAT_NEWER. */
export function readImageNames(layout: Layout, image: ImageDigest): ImageNames {
  const kind = { code: 'ERR_STACKSHIM_IMAGE_CORRUPT', what: 'names of image' } as const;
  return readStoredCache(imageNamesFile(layout, image), { ...kind, reader }) ?? { others: [] };
}

/** Whether a digest names a stored image: its own digest, that of its content, or another one. */
export function isNamed(layout: Layout, image: ImageDigest, digest: ImageDigest): boolean {
  if (image === digest) return true;
  const { content, others } = readImageNames(layout, image);
  return content === digest || others.includes(digest);
}

/** Whether the digest of the image's content is still unknown. */
export const lacksContentDigest = (layout: Layout, image: ImageDigest): boolean =>
  !existsSync(imageNamesFile(layout, image)) || readImageNames(layout, image).content === undefined;
