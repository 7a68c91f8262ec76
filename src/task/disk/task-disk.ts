/** A task's disk space: where its writable layers are, and what enforces its disk limit. */
import type { Policy } from '../../spec/policy.ts';
import type { DiskAmount, Fd } from '../../sys/system.ts';
import type { Slot } from '../admission/slot.ts';
import type { TaskPlaces } from '../records/task-places.ts';

/** `quota`: a project of the root folder's filesystem. `volume`: a filesystem of its own. `sampling`: only measured. */
export type DiskMechanism = 'quota' | 'volume' | 'sampling';

export interface DiskSample extends DiskAmount {
  /** Whether nothing more fits, or more than the limit is used. */
  readonly isFull: boolean;
}

/** What another process needs, besides the places, to take over a task's disk space. */
export type HandedDisk = Pick<TaskDisk, 'mechanism' | 'project'>;

/** The disk space at the task's scratch folder, from its opening to its removal. */
export interface TaskDisk {
  readonly mechanism: DiskMechanism;
  readonly limit: DiskAmount;
  /** The loop device of a scratch volume: `loop3`. */
  readonly loopDevice?: string;
  /** This process's descriptor of a scratch volume, which leads to the volume while it is attached nowhere. */
  readonly descriptor?: Fd;
  /** The project id of a quota. */
  readonly project?: number;
  /** Detaches the mounts from the host's mount namespace, once the container has its own. */
  detach(): Promise<void>;
  measure(): DiskSample | Promise<DiskSample>;
  /** Leaves the ended task's files in the scratch folder (`--keep`). */
  keep(): void;
  /** Closes this process's descriptors and drops unwritten data, which nobody needs: another process will remove the space. */
  close(): void;
  /** Closes this process's descriptors, for the process that takes over. Precondition: the space is not detached. */
  handOver(): void;
  /** Removes the ended task's files, and checks that they are gone. A second call does nothing. */
  remove(): Promise<void>;
}

export interface TaskDiskRequest {
  readonly mechanism: Policy['disk']['mechanism'];
  readonly limit: DiskAmount;
  /** Whether the limit is the usual one here, so that a later task can reuse the volume. */
  readonly isUsual: boolean;
  readonly places: TaskPlaces;
  readonly slot: Slot;
  readonly userns: 'auto' | 'host';
}

/**
 * The kernel writes in pieces of up to this size (large folios), and refuses a piece that does
 * not fit whole. So after a large write fails, anything below this size may still be free.
 */
const LARGEST_PIECE_BYTES = 2 * 1024 * 1024;
/** With a small limit a piece is a large part, so more than this share free counts as room. */
const ROOM_SHARE = 1 / 8;

/** Whether so little of the limit is left that a write may have failed. */
export const isUsedUp = (usedBytes: number, { bytes }: DiskAmount): boolean =>
  usedBytes > bytes - Math.min(LARGEST_PIECE_BYTES, bytes * ROOM_SHARE);
