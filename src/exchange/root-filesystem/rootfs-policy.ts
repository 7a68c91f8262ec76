/** What a root filesystem from elsewhere may contain. */
import { type ArchivePolicy, LAYER_POLICY } from '../../archive/archive-policy.ts';

/** As a layer, but without deletions: there is nothing below. `.dockerenv` says that files belong to a container of docker. */
export const ROOTFS_POLICY: ArchivePolicy = {
  ...LAYER_POLICY,
  subject: 'root filesystem',
  whiteouts: false,
  leaveOutEmptyFiles: new Set([...LAYER_POLICY.leaveOutEmptyFiles, '.dockerenv']),
};
