/**
 * User and group ids of the host that stackshim reserves, most of them for tasks. Nobody else uses them: they are above the ranges of systemd (up
 * to 1879048191) and of subuid files, and around systemd's range for foreign images (2147352576 to 2147418111).
 */
import type { IdRange, UserIds } from './mount.ts';

/** Ids of one slot: the host ids of a task's ids 0 to 65535. */
export const IDS_PER_SLOT = 65_536;
export const FIRST_SLOT_ID = 1_879_048_192;
export const SLOT_COUNT = 4_078;
/** For the steps of builds: ranges of a slot's size, the last ones below systemd's foreign range. */
export const FIRST_BUILD_ID = FIRST_SLOT_ID + SLOT_COUNT * IDS_PER_SLOT;
export const BUILD_RANGE_COUNT = 16;
/** For workers, programs that read hostile input outside of a task; each has its own id. */
export const FIRST_WORKER_ID = 2_147_418_112;
export const WORKER_ID_COUNT = 4_096;
/** The owner of files that tasks write into a bind that root owns, unless the policy names another owner. */
export const DEFAULT_BIND_OWNER_ID = FIRST_WORKER_ID + WORKER_ID_COUNT;

/** The owner of a new file in a bind after gVisor's file server creates it, until the server hands it to the task's user. */
export const FILE_SERVER_ID = DEFAULT_BIND_OWNER_ID + 1;

/** Ids of slots, builds and programs, as [first, end), ascending: no file that outlives a task may belong to one of them. */
export const RESERVED_IDS: readonly (readonly [number, number])[] = [
  [FIRST_SLOT_ID, FIRST_BUILD_ID + BUILD_RANGE_COUNT * IDS_PER_SLOT],
  [FIRST_WORKER_ID, FIRST_WORKER_ID + WORKER_ID_COUNT],
  [FILE_SERVER_ID, FILE_SERVER_ID + 1],
];

export const isReservedId = (id: number): boolean =>
  RESERVED_IDS.some(([first, end]) => id >= first && id < end);

/** The kernel treats this number as no id; all smaller numbers are ids. */
export const INVALID_ID = 4_294_967_295;

/** The host ids of a task's user. `ids`: the task's range; null: the task is in the host's user namespace. */
export function toHostUser({ uid, gid }: UserIds, ids: IdRange | null): UserIds {
  const base = ids?.base ?? 0;
  return { uid: base + uid, gid: base + gid };
}
