/** The digest of an image's content: that of the manifest which `stack export` writes. It is the same on every machine, however the image came there. */
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { findPackedLayer, isPackingKnown, type PackedLayer } from '../layers/packed-layer.ts';
import type { Image } from '../stacks/image.ts';
import type { ImageNames } from '../stacks/image-names.ts';
import { addImageNames } from '../stacks/store-image.ts';
import type { System } from '../sys/system.ts';
import { toDigest, toOciConfig, toOciManifest } from './exchange/oci-config.ts';

export interface ImageContent {
  /** Of the manifest. */
  readonly digest: ImageDigest;
  /** Of its config, which docker calls the image's id. */
  readonly config: ImageDigest;
  /** Of its layers as they are packed, lowest first. */
  readonly diffIds: readonly string[];
}

export interface ContentOptions {
  readonly system: System;
  readonly signal?: AbortSignal | undefined;
}

/** Packs each layer that was not packed before. The caller has pinned the layers. Throws as `findPackedLayer`. */
export async function findContent(
  layout: Layout,
  image: Image,
  options: ContentOptions,
): Promise<ImageContent> {
  const layers: PackedLayer[] = [];
  for (const id of image.layers) layers.push(await findPackedLayer(layout, id, options));
  const diffIds = layers.map(({ digest }) => digest);
  const config = toOciConfig(image, diffIds);
  const described = { digest: toDigest(config), size: Buffer.byteLength(config) };
  return {
    digest: toDigest(toOciManifest(described, layers)),
    config: described.digest,
    diffIds,
  };
}

/** The image as one that its content names. Pure. */
export const withContent = (image: Image, { digest, diffIds }: ImageContent): Image => ({
  ...image,
  digest,
  diffIds,
});

/** By what an image of this content is known. Pure. */
export const toNames = ({ digest, config }: ImageContent): ImageNames => ({
  content: digest,
  others: [config],
});

/**
 * Names an image that was just stored by its content where each of its layers was packed before. Packing a new layer takes half as long as
 * storing it: `migrate`, and whatever packs the image, names it later.
 */
export async function nameKnownContent(
  layout: Layout,
  image: Image,
  options: ContentOptions,
): Promise<void> {
  if (!image.layers.every((id) => isPackingKnown(layout, id))) return;
  await nameContent(layout, image, options);
}

/** Finds the digests of a stored image's content, and remembers them as names of the image. Resolves to the first of them. */
export async function nameContent(
  layout: Layout,
  image: Image,
  options: ContentOptions,
): Promise<ImageDigest> {
  const content = await findContent(layout, image, options);
  await addImageNames(layout, image.digest, { system: options.system, ...toNames(content) });
  return content.digest;
}
