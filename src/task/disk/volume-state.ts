/** What the kernel reports about a mounted scratch volume. */
import { readFileSync, statfsSync, statSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { type Layout, scratchDir } from '../../core/layout.ts';
import { freeBytesAt } from '../../sys/files.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import type { DiskSample } from './task-disk.ts';

/** An empty volume uses inodes 1 to 10 and `lost+found`, and the blocks of the root folder and of `lost+found`. */
export const FRESH = { inodes: 11, blocks: 5 } as const;
/** A volume with fewer free blocks counts as full. */
const FULL_BELOW_BLOCKS = 16;

/** The block size of stat(2). */
export const STAT_BLOCK_BYTES = 512;

/** Measures the volume; `path` leads to its root. */
export function measureVolume(path: string): DiskSample {
  const { blocks, bfree, bavail, bsize, files, ffree } = statfsSync(path);
  return {
    bytes: Math.max(0, blocks - bfree - FRESH.blocks) * bsize,
    inodes: Math.max(0, files - ffree - FRESH.inodes),
    isFull: bavail < FULL_BELOW_BLOCKS || ffree === 0,
  };
}

/** Whether nothing of an earlier task is left in the volume, not even an unlinked file that is still open. */
export function isFreshVolume(path: string): boolean {
  const { blocks, bfree, files, ffree } = statfsSync(path);
  return files - ffree === FRESH.inodes && blocks - bfree === FRESH.blocks;
}

/** Whether the kernel has found no error in the filesystem. */
export function isSoundVolume(path: string): boolean {
  return readFileSync(`/sys/fs/ext4/${loopDeviceOf(path)}/errors_count`, 'utf8').trim() === '0';
}

/** The loop device (`loop3`) of the filesystem that contains `path`. */
export function loopDeviceOf(path: string): string {
  const { dev } = statSync(path);
  return `loop${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
}

/**
 * Throws ERR_STACKSHIM_DISK_FULL if a task's volume holds more bytes than the host's disk can store.
 * The volume's file is sparse: its data may find no room on the disk, which shows only later.
 */
export function requireStored(layout: Layout, { volumeFile }: TaskPlaces, bytes: number): void {
  const file = statSync(volumeFile, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (bytes <= freeBytesAt(scratchDir(layout)) + file.blocks * STAT_BLOCK_BYTES) return;
  const message = "write the task's inputs: no space left on the host's disk";
  throw new StackshimError('ERR_STACKSHIM_DISK_FULL', message);
}
