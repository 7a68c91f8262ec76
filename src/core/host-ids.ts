/**
 * User and group ids of the host that stackshim takes for itself. Nobody else has them: they lie above the ranges of systemd (up to
 * 1879048191) and of subuid files, around the one that systemd keeps for foreign images (2147352576 to 2147418111).
 */

/** Ids of one slot: what its task calls 0 to 65535. */
export const IDS_PER_SLOT = 65_536;
export const FIRST_SLOT_ID = 1_879_048_192;
/** Up to systemd's foreign range. */
export const SLOT_COUNT = 4_094;
/** For programs that read hostile input outside of a task, each run under an id of its own. */
export const FIRST_WORKER_ID = 2_147_418_112;
export const WORKER_ID_COUNT = 4_096;
/** Whom files belong to that tasks write into a bind whose source is root's, where the policy names nobody. */
export const DEFAULT_BIND_OWNER_ID = FIRST_WORKER_ID + WORKER_ID_COUNT;
