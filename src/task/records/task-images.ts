/** The images and cached builds that tasks use, according to their records: collection must keep them. */
import { StackshimError } from '../../core/errors.ts';
import type { BuildKey, ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { listTaskIds, readRecord } from './read-record.ts';
import { findRunFolders } from './run-folders.ts';

export interface TaskImages {
  /** The images of all tasks: living, kept, or waiting to be reaped. */
  readonly images: ReadonlySet<ImageDigest>;
  /** The cached builds of the same tasks. */
  readonly builds: ReadonlySet<BuildKey>;
  /** The errors of records that cannot be read: their tasks may use any image. */
  readonly errors: readonly StackshimError[];
}

/** Reads every task's record in every run folder of the root folder (`findRunFolders`), synchronously. */
export function readTaskImages(layout: Layout): TaskImages {
  const images = new Set<ImageDigest>();
  const builds = new Set<BuildKey>();
  const errors: StackshimError[] = [];
  for (const folder of findRunFolders(layout)) {
    for (const id of listTaskIds(folder)) {
      try {
        const record = readRecord(folder, id);
        if (record === undefined) continue;
        images.add(record.image);
        if (record.codeImage !== undefined) images.add(record.codeImage);
        if (record.build !== undefined) builds.add(record.build);
      } catch (error) {
        if (!(error instanceof StackshimError)) throw error;
        errors.push(error);
      }
    }
  }
  return { images, builds, errors };
}
