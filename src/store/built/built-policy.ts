/** What a build step may leave in `/task`, to be kept for later tasks. */
import { type ArchiveLimits, LAYER_LIMITS } from '../../archive/archive-limits.ts';
import type { ArchivePolicy } from '../../archive/archive-policy.ts';

/**
 * Like a layer of an image, with the owners that the files had in the build. Links may lead anywhere: only tasks follow them. Setuid bits,
 * file capabilities and attributes that only root may set are left out: in `/task` they never have an effect.
 */
export const BUILT_POLICY: ArchivePolicy = {
  subject: 'what the build step left in /task',
  invalidCode: 'ERR_STACKSHIM_TASK_BUILD_FAILED',
  whiteouts: true,
  devices: 'drop',
  fifos: true,
  xattrs: 'user',
  outwardLinks: true,
  absoluteNames: 'refuse',
  ownership: 'plain',
  leaveOutNames: new Set(),
  leaveOutEmptyFiles: new Set(),
};

/** A sparse file counts with its full length, so the content may pass the disk limit that the build itself kept. */
export const toBuiltLimits = (diskBytes: number): ArchiveLimits => ({
  ...LAYER_LIMITS,
  bytes: Math.min(LAYER_LIMITS.bytes, diskBytes),
});
