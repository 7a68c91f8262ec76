/** Holds a lease for work that stores something new, and removes the stored parts if the work fails. */
import { StackshimError } from '../core/errors.ts';
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { holdStore, type StoreLease, whileNothingIsPinned } from '../store/store-lease.ts';
import { surveyStore } from '../store/survey-store.ts';
import type { System } from '../sys/system.ts';
import { readTaskImages } from '../task/records/task-images.ts';
import { findObstacles, sweepImages } from './sweep-images.ts';

/**
 * Runs `work` under a lease. If `work` throws, or `isUnneeded` accepts its result, removes the layers and images that it found or stored, except
 * those that a revision, a task or another lease needs. Throws the errors of `holdStore` and of `work`.
 */
export async function holdStoreFor<T>(
  layout: Layout,
  system: System,
  work: (lease: StoreLease) => Promise<T>,
  isUnneeded: (result: T) => boolean = () => false,
): Promise<T> {
  const lease = await holdStore(layout, system);
  let shouldDiscard = true;
  try {
    const result = await work(lease);
    shouldDiscard = isUnneeded(result);
    return result;
  } finally {
    lease.release();
    if (shouldDiscard) await discard(layout, system, lease.pinned);
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
    // The caller must get the first error. The next collection finds the rest, and reports why it cannot be removed.
    if (!(error instanceof StackshimError)) throw error;
  }
}
