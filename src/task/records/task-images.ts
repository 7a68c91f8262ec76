/** The images and cached builds that tasks use, according to their records: collection must keep them. */
import type { StackshimError } from '../../core/errors.ts';
import type { BuildKey, ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { eachRecord, listTaskIds } from './read-record.ts';
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
  const errors = findRunFolders(layout).flatMap((folder) =>
    eachRecord(folder, listTaskIds(folder), ({ image, codeImage, build }) => {
      images.add(image);
      if (codeImage !== undefined) images.add(codeImage);
      if (build !== undefined) builds.add(build);
    }),
  );
  return { images, builds, errors };
}
