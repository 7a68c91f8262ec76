/**
 * The files `images/<hex>.names`: by which other digests a stored image is known. The first is that of its content, the same wherever the
 * image came from; the others were seen here: of manifests and configs that led to it, or that it was pushed with.
 */
import { existsSync } from 'node:fs';
import type { ImageDigest } from '../core/ids.ts';
import { imagesDir, type Layout } from '../core/layout.ts';
import { listOf, objectOf, optional } from '../core/read-fields.ts';
import { readStoredCache } from '../layers/stored-json.ts';
import { imageDigest, type StoredVersion, version } from './stored-files.ts';

export interface ImageNames {
  /** Of the manifest that `stack export` writes for it. Absent until it is known. */
  readonly content?: ImageDigest | undefined;
  /** Latest last. */
  readonly others: readonly ImageDigest[];
}

/** One image has few; whoever pushes it again and again has the latest. */
export const MOST_OTHERS = 64;

const reader = objectOf<ImageNames & StoredVersion>({
  version,
  content: optional(imageDigest),
  others: listOf(imageDigest, MOST_OTHERS),
});

export const imageNamesFile = (layout: Layout, image: ImageDigest) =>
  `${imagesDir(layout)}/${image.slice('sha256:'.length)}.names`;

/** Blocks. None where the file is missing or damaged: `migrate` makes it again. Throws ERR_STACKSHIM_FORMAT_NEWER. */
export function readImageNames(layout: Layout, image: ImageDigest): ImageNames {
  const stored = readStoredCache(imageNamesFile(layout, image), {
    reader,
    code: 'ERR_STACKSHIM_IMAGE_CORRUPT',
    what: 'names of image',
  });
  return { content: stored?.content, others: stored?.others ?? [] };
}

/** Whether a stored image is known by that digest: its own, that of its content, or another. */
export function isNamed(layout: Layout, image: ImageDigest, digest: ImageDigest): boolean {
  if (image === digest) return true;
  const { content, others } = readImageNames(layout, image);
  return content === digest || others.includes(digest);
}

/** Whether the digest of the image's content is not known yet. */
export const lacksContentDigest = (layout: Layout, image: ImageDigest): boolean =>
  !existsSync(imageNamesFile(layout, image)) || readImageNames(layout, image).content === undefined;
