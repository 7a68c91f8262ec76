/** Stores images and their other digests. */
import type { ImageDigest, LayerId } from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { ensureDirectory } from '../../sys/write-file.ts';
import { withStacksLock } from '../with-lock.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { type Image, imageFile } from './image.ts';
import { type ImageNames, imageNamesFile, MAX_OTHERS, readImageNames } from './image-names.ts';

/** Stores an image durably. Storing the same image again changes nothing. Precondition: its layers are stored. */
export async function writeImage(layout: Layout, image: Image): Promise<void> {
  await guardDisk(`write image ${image.digest}`, async () => {
    await ensureDirectory(imagesDir(layout), 0o700);
    await writeStoredJson(imageFile(layout, image.digest), image);
  });
}

/** Returns the lists of an image, lowest layer first. A repeated layer counts at its highest position: an overlay takes no layer twice. */
export function toLayerLists(
  layers: readonly { readonly id: LayerId; readonly diffId: string }[],
): Pick<Image, 'layers' | 'diffIds'> {
  const needed = layers.filter(
    ({ id }, index) => !layers.slice(index + 1).some((above) => above.id === id),
  );
  return { layers: needed.map(({ id }) => id), diffIds: needed.map(({ diffId }) => diffId) };
}

/** Stores further digests of a stored image durably. */
export async function addImageNames(
  layout: Layout,
  image: ImageDigest,
  { system, content, others = [] }: Partial<ImageNames> & { readonly system: System },
): Promise<void> {
  await withStacksLock(layout, system, async () => {
    const known = readImageNames(layout, image);
    const more = others.filter((one) => one !== image && !known.others.includes(one));
    const isKnown = content === undefined || known.content === content;
    if (isKnown && more.length === 0) return;
    await writeStoredJson(imageNamesFile(layout, image), {
      content: content ?? known.content,
      others: [...known.others, ...new Set(more)].slice(-MAX_OTHERS),
    });
  });
}
