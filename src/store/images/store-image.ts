/** Stores images, and the digests by which they are known. */
import type { ImageDigest } from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import { ensureDirectory, writeFileAtomic } from '../../sys/files.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { FORMAT_VERSION } from '../stored-files.ts';
import { type Image, imageFile } from './image.ts';
import { type ImageNames, imageNamesFile, MAX_OTHERS, readImageNames } from './image-names.ts';

/** Stores an image durably. Storing the same image again changes nothing. Precondition: its layers are stored. */
export async function writeImage(layout: Layout, image: Image): Promise<void> {
  const path = imageFile(layout, image.digest);
  const stored = { version: FORMAT_VERSION, ...image };
  await guardDisk(`write image ${image.digest}`, async () => {
    await ensureDirectory(imagesDir(layout), 0o700);
    await writeFileAtomic(path, `${JSON.stringify(stored, null, 2)}\n`, { durable: true });
  });
}

/** Stores further digests of a stored image durably. */
export async function addImageNames(
  layout: Layout,
  image: ImageDigest,
  { system, content, others = [] }: Partial<ImageNames> & { readonly system: System },
): Promise<void> {
  const add = async () => {
    const known = readImageNames(layout, image);
    const more = others.filter((one) => one !== image && !known.others.includes(one));
    const isKnown = content === undefined || known.content === content;
    if (isKnown && more.length === 0) return;
    const names = {
      content: content ?? known.content,
      others: [...known.others, ...new Set(more)].slice(-MAX_OTHERS),
    };
    const path = imageNamesFile(layout, image);
    const text = `${JSON.stringify({ version: FORMAT_VERSION, ...names }, null, 2)}\n`;
    await guardDisk(`write ${path}`, () => writeFileAtomic(path, text, { durable: true }));
  };
  await withStacksLock(layout, add, { system });
}
