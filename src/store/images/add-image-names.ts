/** Writes the files `images/<hex>.names`. */
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { writeFileAtomic } from '../../sys/files.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { FORMAT_VERSION } from '../stored-fields.ts';
import { type ImageNames, imageNamesFile, MAX_OTHERS, readImageNames } from './image-names.ts';

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
