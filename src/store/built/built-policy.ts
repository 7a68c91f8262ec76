/** What a build step may leave in `/task` for later tasks. */
import { type ArchiveLimits, LAYER_LIMITS } from '../../archive/archive-limits.ts';
import type { ArchivePolicy } from '../../archive/archive-policy.ts';

/**
 * The rules of an image layer, with the owners that the files had in the build. Links may lead anywhere, because only tasks follow them. Setuid
 * bits, file capabilities and attributes that only root may set are left out: they never have an effect in `/task`.
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

/** The limits of a build's content. A sparse file counts with its full length, so a build that kept to its disk limit may exceed them. */
export const toBuiltLimits = (diskBytes: number): ArchiveLimits => ({
  ...LAYER_LIMITS,
  bytes: Math.min(LAYER_LIMITS.bytes, diskBytes),
});
