/** A task's disk space: where its writable layers are, and what enforces its disk limit. */
import type { Policy } from '../../spec/policy.ts';
import type { DiskAmount, Fd } from '../../sys/system.ts';
import type { Slot } from '../admission/slot.ts';
import type { TaskPlaces } from '../records/task-places.ts';

/** `quota`: a project of the root folder's filesystem. `volume`: a filesystem of its own. `sampling`: measuring only. */
export type DiskMechanism = 'quota' | 'volume' | 'sampling';

export interface DiskSample extends DiskAmount {
  /** Whether nothing more fits, or more than the limit is used. */
  readonly isFull: boolean;
}

/** What another process needs to take over a task's disk space, in addition to its places. */
export type HandedDisk = Pick<TaskDisk, 'mechanism' | 'project'>;

/** The space exists at the task's scratch folder from the moment it is opened until it is removed. */
export interface TaskDisk {
  readonly mechanism: DiskMechanism;
  readonly limit: DiskAmount;
  /** `loop3`: the loop device of a scratch volume. */
  readonly loopDevice?: string;
  /** The descriptor of this process that leads to a scratch volume while the volume is attached nowhere. */
  readonly descriptor?: Fd;
  /** The project of a quota. */
  readonly project?: number;
  /** Detaches the mounts from the host's namespace, once the container has its own. */
  detach(): Promise<void>;
  measure(): DiskSample | Promise<DiskSample>;
  /** Leaves the files of the ended task in the scratch folder (`--keep`). */
  keep(): void;
  /** Drops unwritten data, which nobody needs any more: this process is about to leave removal to another one. */
  close(): void;
  /** Closes this process's descriptors, for another process that takes over the space. Precondition: it is not detached. */
  handOver(): void;
  /** Removes the files of the ended task, and checks. A second call does nothing. */
  remove(): Promise<void>;
}

export interface TaskDiskRequest {
  readonly mechanism: Policy['disk']['mechanism'];
  readonly limit: DiskAmount;
  /** Whether the limit is the usual one here, so that its volume is worth keeping for a later task. */
  readonly isUsual: boolean;
  readonly places: TaskPlaces;
  readonly slot: Slot;
  readonly userns: 'auto' | 'host';
}

/**
 * The kernel writes in pieces of up to this size (large folios), and refuses a piece that does not fit completely. So after a failed large
 * write, any amount below this may still be free.
 */
const LARGEST_PIECE_BYTES = 2 * 1024 * 1024;
/** For a small limit, a piece is a large part: more than this share free counts as room. */
const ROOM_SHARE = 1 / 8;

/** Whether so little of a limit is left that a write may have failed. */
export const isUsedUp = (usedBytes: number, { bytes }: DiskAmount): boolean =>
  usedBytes > bytes - Math.min(LARGEST_PIECE_BYTES, bytes * ROOM_SHARE);
