/** Finds and stores the content digest of an image: the digest of the manifest that `stack export` writes, the same on every machine. */
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { Image } from '../../store/images/image.ts';
import { addImageNames, writeImage } from '../../store/images/store-image.ts';
import {
  findPackedLayer,
  type PackedLayer,
  sizeOfPacking,
} from '../../store/layers/packed-layer.ts';
import { pinInStore } from '../../store/store-lease.ts';
import type { System } from '../../sys/system.ts';
import { toDigest, toOciConfig, toOciManifest } from './oci-documents.ts';

export interface ImageContent {
  /** Digest of the manifest. */
  readonly digest: ImageDigest;
  /** Digest of the config, which docker calls the image's id. */
  readonly config: ImageDigest;
  /** DiffIDs of the layers as packed, lowest first. */
  readonly diffIds: readonly string[];
}

export interface ContentOptions {
  readonly system: System;
  readonly signal?: AbortSignal | undefined;
}

/** Packs each layer that was never packed. Precondition: the caller has pinned the layers. Throws like `findPackedLayer`. */
async function findContent(
  layout: Layout,
  image: Omit<Image, 'digest'>,
  options: ContentOptions,
): Promise<ImageContent> {
  const layers: PackedLayer[] = [];
  for (const id of image.layers) layers.push(await findPackedLayer(layout, id, options));
  const diffIds = layers.map(({ digest }) => digest);
  const config = toOciConfig(image, diffIds);
  const described = { digest: toDigest(config), size: Buffer.byteLength(config) };
  return { digest: toDigest(toOciManifest(described, layers)), config: described.digest, diffIds };
}

/** Stores an image made on this machine from stored layers; returns it with its content digest, which is the same on every machine. */
export async function storeMadeImage(
  layout: Layout,
  made: Omit<Image, 'digest'>,
  { system, signal }: ContentOptions,
): Promise<Image> {
  const { digest, diffIds, config } = await findContent(layout, made, { system, signal });
  const image = { ...made, digest, diffIds };
  await pinInStore(layout, digest);
  await writeImage(layout, image);
  await addImageNames(layout, digest, { system, content: digest, others: [config] });
  return image;
}

/**
 * Names a newly stored image by its content if all its layers were packed before. Packing a new layer takes half as long as storing it, so other
 * images are named later: by `migrate`, or when something packs them.
 */
export async function nameKnownContent(
  layout: Layout,
  image: Image,
  options: ContentOptions,
): Promise<void> {
  const isKnown = image.layers.every((id) => sizeOfPacking(layout, id) !== undefined);
  if (isKnown) await nameContent(layout, image, options);
}

/** Finds and stores the content digest of a stored image, and its config's digest. Returns the content digest. */
export async function nameContent(
  layout: Layout,
  image: Image,
  options: ContentOptions,
): Promise<ImageDigest> {
  const { digest, config } = await findContent(layout, image, options);
  const { system } = options;
  await addImageNames(layout, image.digest, { system, content: digest, others: [config] });
  return digest;
}
