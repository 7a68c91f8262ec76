/** The files `images/<hex>.json`: what an image consists of, immutable under its digest. */
import { existsSync } from 'node:fs';
import { type ImageDigest, isImageDigest, isLayerId, type LayerId } from '../core/ids.ts';
import { imagesDir, type Layout } from '../core/layout.ts';
import {
  FieldFault,
  listOf,
  mapOf,
  objectOf,
  optional,
  type Reader,
  textThat,
  textUpTo,
} from '../core/read-fields.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { readStoredJson, toCorrupt, writeStoredJson } from '../layers/stored-json.ts';
import { ensureDirectory } from '../sys/files.ts';
import type { Image, ImageConfig } from './image.ts';
import { otherSettings } from './other-settings.ts';
import { FORMAT_VERSION, imageDigest, line, type StoredVersion, version } from './stored-fields.ts';

const MOST_LAYERS = 256;
const MOST_TEXTS = 4096;
const MAX_TEXT_CHARS = 64 * 1024;

export type StoredImage = Image & StoredVersion;

const text = textUpTo(MAX_TEXT_CHARS);
const texts = listOf(text, MOST_TEXTS);
const fields = objectOf<StoredImage>({
  version,
  digest: imageDigest,
  layers: listOf(textThat<LayerId>(isLayerId, 'not a layer id'), MOST_LAYERS, 1),
  diffIds: listOf(textThat(isImageDigest, 'not a DiffID'), MOST_LAYERS),
  config: objectOf<ImageConfig>({
    env: texts,
    entrypoint: texts,
    cmd: texts,
    workingDir: text,
    user: text,
    labels: mapOf(text, text),
    stopSignal: optional(text),
    other: optional(otherSettings),
  }),
  architecture: line,
});

export const storedImage: Reader<StoredImage> = (value, field) => {
  const image = fields(value, field);
  if (image.layers.length === image.diffIds.length) return image;
  throw new FieldFault(field, 'layers and diffIds differ in number');
};

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
    await ensureDirectory(imagesDir(layout), 0o700);
    await writeStoredJson(path, stored);
  });
}

/**
 * Reads a stored image. Blocks, for a file read.
 * Throws ERR_STACKSHIM_IMAGE_CORRUPT when the file is missing, unreadable or another image's.
 */
export function readImage(layout: Layout, digest: ImageDigest): Image {
  if (!isImageDigest(digest)) throw toCorrupt(imagesDir(layout), 'not an image digest', kind);
  const path = imageFile(layout, digest);
  const stored = readStoredJson(path, { ...kind, reader: storedImage });
  if (stored === undefined) throw toCorrupt(path, 'missing', kind);
  if (stored.digest !== digest) throw toCorrupt(path, `holds ${stored.digest}`, kind);
  const { version: _, ...image } = stored;
  return image;
}
