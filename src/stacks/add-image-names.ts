/** Writes the files `images/<hex>.names`. */

import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { writeStoredJson } from '../layers/stored-json.ts';
import type { System } from '../sys/system.ts';
import { type ImageNames, imageNamesFile, MOST_OTHERS, readImageNames } from './image-names.ts';
import { withStacksLock } from './stacks-lock.ts';
import { FORMAT_VERSION } from './stored-fields.ts';

/** Remembers, durably, more digests of a stored image. */
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
      others: [...known.others, ...new Set(more)].slice(-MOST_OTHERS),
    };
    await writeStoredJson(imageNamesFile(layout, image), { version: FORMAT_VERSION, ...names });
  };
  await withStacksLock(layout, add, { system });
}
