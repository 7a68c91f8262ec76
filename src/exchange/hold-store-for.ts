/** A lease for work that stores something new: when nothing comes of it, what it stored goes again. */

import { StackshimError } from '../core/errors.ts';
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { holdStore, type StoreLease, whileNothingIsPinned } from '../store/store-lease.ts';
import { surveyStore } from '../store/survey-store.ts';
import type { System } from '../sys/system.ts';
import { readTaskImages } from '../task/records/task-images.ts';
import { findObstacles, sweepImages } from './sweep-images.ts';

/**
 * Runs `work` under a lease. When it throws, or `isInVain` holds for what it gives, the layers and images that it found or
 * stored are removed, but for those that a revision, a task or another lease needs. Throws as `holdStore`, and what `work` throws.
 */
export async function holdStoreFor<T>(
  layout: Layout,
  system: System,
  {
    work,
    isInVain = () => false,
  }: {
    readonly work: (lease: StoreLease) => Promise<T>;
    readonly isInVain?: (result: T) => boolean;
  },
): Promise<T> {
  const lease = await holdStore(layout, system);
  let inVain = true;
  try {
    const result = await work(lease);
    inVain = isInVain(result);
    return result;
  } finally {
    lease.release();
    if (inVain) await discard(layout, system, lease.pinned);
  }
}

async function discard(layout: Layout, system: System, only: ReadonlySet<string>): Promise<void> {
  try {
    await whileNothingIsPinned(layout, system, async (pinned) => {
      const survey = surveyStore(layout);
      const { images, errors } = readTaskImages(layout);
      if (errors.length + findObstacles(layout, survey, images).length > 0) return;
      const isNeeded = (image: ImageDigest) =>
        survey.imageUsers.has(image) || images.has(image) || pinned.has(image);
      await sweepImages(layout, system, { survey, isNeeded, pinned, only, dryRun: false });
    });
  } catch (error) {
    // What failed before is what the caller must hear of. The next collection finds what stayed, and tells why it cannot go.
    if (!(error instanceof StackshimError)) throw error;
  }
}
