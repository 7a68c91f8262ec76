/** What the kernel tells of a mounted scratch volume. */
import { readFileSync, statfsSync, statSync } from 'node:fs';
import type { DiskSample } from './task-disk.ts';

/** Inodes 1 to 10 and `lost+found`; the blocks of the root folder and of `lost+found`. */
const FRESH = { inodes: 11, blocks: 5 } as const;
/** Less than this cannot take a write of any size. */
const NOTHING_BLOCKS = 16;

/** stat(2) counts blocks of this size. */
export const STAT_BLOCK_BYTES = 512;

/** `path` leads to the volume's root. */
export function measureVolume(path: string): DiskSample {
  const { blocks, bfree, bavail, bsize, files, ffree } = statfsSync(path);
  return {
    bytes: Math.max(0, blocks - bfree - FRESH.blocks) * bsize,
    inodes: Math.max(0, files - ffree - FRESH.inodes),
    isFull: bavail < NOTHING_BLOCKS || ffree === 0,
  };
}

/** Nothing of an earlier task is in it, not even a file without a name that something has open still. */
export function isFreshVolume(path: string): boolean {
  const { blocks, bfree, files, ffree } = statfsSync(path);
  return files - ffree === FRESH.inodes && blocks - bfree === FRESH.blocks;
}

/** Whether the kernel has found no error in the filesystem. */
export function isSoundVolume(path: string): boolean {
  return readFileSync(`/sys/fs/ext4/${loopDeviceOf(path)}/errors_count`, 'utf8').trim() === '0';
}

/** `loop3` for a path on a filesystem of that device. */
export function loopDeviceOf(path: string): string {
  const { dev } = statSync(path);
  return `loop${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
}
