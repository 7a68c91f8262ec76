/** A disk that starts to fail: after a number of blocks it accepts no more writes. What was written before can be read. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { emptyDisk, fillDisk } from './small-disk.ts';

/** Writes through at once, so that the call that caused a failure sees it. */
const MOUNT = ['-o', 'loop,sync'] as const;
const SIZE_MIB = 64;

export interface DyingDisk {
  /** Mounts the furnished disk, which fails after `blocks` more blocks of 4 KiB. */
  attach(blocks: number): void;
  /** Mounts the same disk, repaired as after a reboot, accepting writes. The disk must not be in use. */
  repair(): void;
  /** Unmounts the disk, which must not be in use. */
  detach(): void;
  dispose(): void;
}

/**
 * Makes a disk for `folder`: a sparse file in a memory filesystem that is filled up, so that the file's filesystem sees failed writes.
 * `furnish` writes the initial content; `base` is an empty folder of the caller. Requires: loop devices, mkfs.ext4, e2fsck.
 */
export async function makeDyingDisk(
  folder: string,
  base: string,
  furnish: () => Promise<void>,
): Promise<DyingDisk> {
  const golden = join(base, 'golden.img');
  execFileSync('truncate', ['-s', `${SIZE_MIB}M`, golden]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', golden]);
  execFileSync('mount', ['-o', 'loop', golden, folder]);
  await furnish();
  execFileSync('umount', [folder]);
  const memory = join(base, 'memory');
  mkdirSync(memory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${2 * SIZE_MIB}m`, 'none', memory]);
  let count = 0;
  const image = () => join(memory, `${count}.img`);
  const mount = () => execFileSync('mount', [...MOUNT, image(), folder]);
  return {
    attach(blocks) {
      // The loop device may hold the last disk a moment longer than it is mounted.
      rmSync(image(), { force: true });
      count += 1;
      execFileSync('cp', ['--sparse=always', golden, image()]);
      mount();
      fillDisk(memory, blocks);
    },
    repair() {
      execFileSync('umount', [folder]);
      emptyDisk(memory);
      const { status, stdout } = spawnSync('e2fsck', ['-fy', image()], { encoding: 'utf8' });
      // Status 1: errors were repaired.
      if (status !== 0 && status !== 1) throw new Error(`e2fsck: status ${status}\n${stdout}`);
      mount();
    },
    detach: () => void execFileSync('umount', [folder]),
    dispose: () => void execFileSync('umount', ['-l', memory]),
  };
}
