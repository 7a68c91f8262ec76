/** Where a task's writable layers lie, and what holds them to the task's disk limit. */
import type { Policy } from '../../spec/policy.ts';
import type { DiskAmount } from '../../sys/system.ts';
import type { Slot } from '../admission/slot.ts';
import type { TaskPlaces } from '../records/task-places.ts';

/** `quota`: a project of the root folder's filesystem. `volume`: a filesystem of its own. `sampling`: nothing but the samples. */
export type DiskMechanism = 'quota' | 'volume' | 'sampling';

/** What was seen of a task's disk space at one moment. */
export interface DiskSample extends DiskAmount {
  /** No more fits in, or more is in than the limit allows. */
  readonly isFull: boolean;
}

/** What adopts a task's disk space, beside its places. */
export interface HandedDisk {
  readonly mechanism: DiskMechanism;
  /** With a quota. */
  readonly project?: number;
}

/** The space is there, at the task's scratch folder, from the moment it is opened until it is removed. */
export interface TaskDisk {
  readonly mechanism: DiskMechanism;
  readonly limit: DiskAmount;
  /** `loop3`: of a scratch volume. */
  readonly loopDevice?: string;
  /** Takes what is mounted out of the host's namespace, once the container has it. */
  detach(): Promise<void>;
  measure(): DiskSample | Promise<DiskSample>;
  /** Leaves the ended task's files in the scratch folder (`--keep`). */
  keep(): void;
  /** Nothing that was not written to the disk yet needs to be: the process is about to leave removal to another. */
  abandon(): void;
  /** Another process adopts the space, with what this returns: closes what this process has open. Precondition: it is not detached. */
  handOver(): HandedDisk;
  /** Removes the ended task's files, and checks. A second call does nothing. */
  remove(): Promise<void>;
}

export interface TaskDiskRequest {
  readonly mechanism: Policy['disk']['mechanism'];
  readonly limit: DiskAmount;
  /** Whether such a limit is the usual one here: its volume is worth keeping for the next task. */
  readonly isUsual: boolean;
  readonly places: TaskPlaces;
  readonly slot: Slot;
  readonly userns: 'auto' | 'host';
}

/**
 * The kernel writes in pieces of up to this size (large folios), and refuses a piece that does not fit as a whole. So what is left
 * when a large write fails may be anything below it.
 */
const LARGEST_PIECE_BYTES = 2 * 1024 * 1024;
/** Of a small limit a piece is much: what leaves more than this share has room. */
const ROOM_SHARE = 1 / 8;

/** Whether so little is left of a limit that a write may have failed for it. */
export const isUsedUp = (usedBytes: number, { bytes }: DiskAmount): boolean =>
  usedBytes > bytes - Math.min(LARGEST_PIECE_BYTES, bytes * ROOM_SHARE);
