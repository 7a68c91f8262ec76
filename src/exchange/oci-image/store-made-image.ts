/** Stores an image that was made on this machine. Its layers are stored already. */
import type { Layout } from '../../core/layout.ts';
import type { Image } from '../../store/images/image.ts';
import { addImageNames, writeImage } from '../../store/images/store-image.ts';
import { pinInStore } from '../../store/store-lease.ts';
import { type ContentOptions, findContent, toNames, withContent } from './name-content.ts';

/** Resolves to the image with the digest of its content, the same on every machine. `made.digest` counts for nothing. */
export async function storeMadeImage(
  layout: Layout,
  made: Image,
  { system, signal }: ContentOptions,
): Promise<Image> {
  const content = await findContent(layout, made, { system, signal });
  const image = withContent(made, content);
  await pinInStore(layout, image.digest);
  await writeImage(layout, image);
  await addImageNames(layout, image.digest, { system, ...toNames(content) });
  return image;
}
