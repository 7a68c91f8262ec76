/** Brings what earlier versions stored up to this version. The files that earlier versions read are not changed: those versions can still use the store. */
import type { ImageDigest, LayerId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { holdStore } from '../layers/store-lease.ts';
import { readVerifiedRecord } from '../layers/verify-layer.ts';
import { isImageStored, readImage } from '../stacks/image.ts';
import { surveyFormats } from '../stacks/survey-formats.ts';
import type { System } from '../sys/system.ts';
import { abortable } from './build-aborted.ts';
import { nameContent } from './name-content.ts';

export interface MigrateOptions {
  readonly system: System;
  /** Only tells what is to be done. Default false. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: MigrateProgress) => void;
  readonly signal?: AbortSignal;
}

export interface MigrateProgress {
  /** Counted from 1. */
  readonly image: number;
  readonly images: number;
  readonly digest: ImageDigest;
}

export interface Migration {
  /** Images that were, or are to be, named by their content. */
  readonly images: readonly ImageDigest[];
  /** Images with a layer that is missing or damaged: they stay as they are. */
  readonly damaged: readonly ImageDigest[];
}

/**
 * Finds the digest of each image's content that is not known yet. Tasks, builds and imports may go on meanwhile. A second call does nothing;
 * one that was interrupted goes on where it was. Throws ERR_STACKSHIM_FORMAT_NEWER, before anything is changed, and ERR_STACKSHIM_BUILD_ABORTED.
 */
export const migrateStore = (layout: Layout, options: MigrateOptions): Promise<Migration> =>
  abortable('migrate', options.signal, () => migrate(layout, options));

async function migrate(layout: Layout, options: MigrateOptions): Promise<Migration> {
  const { system, dryRun = false, onProgress, signal } = options;
  const { unnamed, newer } = surveyFormats(layout);
  if (newer[0] !== undefined) throw newer[0];
  if (dryRun) return { images: unnamed, damaged: [] };
  const images: ImageDigest[] = [];
  const damaged: ImageDigest[] = [];
  const lease = await holdStore(layout, system);
  const sound = new Map<LayerId, boolean>();
  const areSound = async (ids: readonly LayerId[]) => {
    for (const id of ids) {
      await lease.pin(id);
      if (!sound.has(id)) {
        sound.set(id, (await readVerifiedRecord(layout, id, { signal })) !== undefined);
      }
    }
    return ids.every((id) => sound.get(id));
  };
  try {
    for (const [index, digest] of unnamed.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ image: index + 1, images: unnamed.length, digest });
      await lease.pin(digest);
      // Collected since it was found.
      if (!isImageStored(layout, digest)) continue;
      const image = readImage(layout, digest);
      const isWhole = await areSound(image.layers);
      if (isWhole) await nameContent(layout, image, { system, signal });
      (isWhole ? images : damaged).push(digest);
    }
    return { images, damaged };
  } finally {
    lease.release();
  }
}
