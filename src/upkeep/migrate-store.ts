/** Brings stored files of earlier versions up to this version. Files that those versions read stay, so they can still use the store. */
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { abortable } from '../exchange/abortable.ts';
import { type NamedImages, nameStoredImages } from '../exchange/oci-image/seek-content.ts';
import { surveyFormats } from '../store/survey-store.ts';
import type { System } from '../sys/system.ts';

export interface MigrateOptions {
  readonly system: System;
  /** Only report what would be done. Default: false. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: MigrateProgress) => void;
  readonly signal?: AbortSignal;
}

/** The image that `migrate` begins with. */
export interface MigrateProgress {
  /** Counted from 1. */
  readonly image: number;
  readonly images: number;
  readonly digest: ImageDigest;
}

/** What `migrate` did or, with `dryRun`, would do: `images` are named by their content. */
export interface Migration extends NamedImages {
  readonly dryRun: boolean;
}

/**
 * Finds the unknown content digests of images. Tasks, builds and imports may go on meanwhile. A second call does nothing; a call after an
 * interruption continues. Throws ERR_STACKSHIM_FORMAT_NEWER before any change, and ERR_STACKSHIM_BUILD_ABORTED.
 */
export const migrateStore = (layout: Layout, options: MigrateOptions): Promise<Migration> =>
  abortable('migrate', options.signal, () => migrate(layout, options));

async function migrate(layout: Layout, options: MigrateOptions): Promise<Migration> {
  const { system, dryRun = false, onProgress, signal } = options;
  const { unnamed, newer } = surveyFormats(layout);
  if (newer[0] !== undefined) throw newer[0];
  if (dryRun) return { dryRun, images: unnamed, damaged: [] };
  const named = await nameStoredImages(layout, unnamed, {
    ...{ system, signal },
    onImage: (digest, index) => onProgress?.({ image: index + 1, images: unnamed.length, digest }),
  });
  return { dryRun, ...named };
}
