/** Reads from the tasks' records which images and cached builds are in use, and so must not be collected. */
import type { StackshimError } from '../../core/errors.ts';
import type { BuildKey, ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { eachRecord, listTaskIds } from './read-record.ts';
import { findRunFolders } from './run-folders.ts';

export interface TaskImages {
  /** The images of all tasks: living, kept, or waiting for a reap. */
  readonly images: ReadonlySet<ImageDigest>;
  /** The cached builds of these tasks. */
  readonly builds: ReadonlySet<BuildKey>;
  /** Errors of unreadable records, whose tasks may use any image. */
  readonly errors: readonly StackshimError[];
}

/** Reads all records in every run folder of the root folder (`findRunFolders`), synchronously. */
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
