/** The images that tasks have, as their records tell: what collection must leave. */
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { listTaskIds, readRecord } from './read-record.ts';
import { findRunFolders } from './run-folders.ts';

export interface TaskImages {
  /** Of every task: living, kept, or waiting to be reaped. */
  readonly images: ReadonlySet<ImageDigest>;
  /** Records that cannot be read: their tasks may have any image. */
  readonly errors: readonly StackshimError[];
}

/** Reads every task's record, in every run folder of the root folder (`findRunFolders`), and blocks while it does. */
export function readTaskImages(layout: Layout): TaskImages {
  const images = new Set<ImageDigest>();
  const errors: StackshimError[] = [];
  for (const folder of findRunFolders(layout)) {
    for (const id of listTaskIds(folder)) {
      try {
        const record = readRecord(folder, id);
        if (record !== undefined) images.add(record.image);
      } catch (error) {
        if (!(error instanceof StackshimError)) throw error;
        errors.push(error);
      }
    }
  }
  return { images, errors };
}
