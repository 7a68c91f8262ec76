/** A disk that begins to fail: after so many more blocks no write reaches it. What was written before can be read. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { emptyDisk, fillDisk } from './small-disk.ts';

/** Each change goes to the disk at once, so that its failure meets the call that made it. */
const MOUNT = ['-o', 'loop,sync'] as const;
const SIZE_MIB = 64;

export interface DyingDisk {
  /** Mounts a disk that is as it was furnished, and fails after `blocks` more of 4 KiB. */
  attach(blocks: number): void;
  /** The same disk with what has reached it, as a machine that starts again repairs it; now it takes writes. Nothing may use it. */
  repair(): void;
  /** Nothing may use it. */
  detach(): void;
  dispose(): void;
}

/**
 * A disk for `folder`: a sparse file in a memory filesystem that is filled up, which a filesystem on that file sees as failed writes.
 * `furnish` puts on it what it begins with; `base` is an empty folder of the caller's. Requires: loop devices, mkfs.ext4, e2fsck.
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
      // A loop device may have the last one for a moment longer than it is mounted.
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
      // 1: there was something to repair.
      if (status !== 0 && status !== 1) throw new Error(`e2fsck: status ${status}\n${stdout}`);
      mount();
    },
    detach: () => void execFileSync('umount', [folder]),
    dispose: () => void execFileSync('umount', ['-l', memory]),
  };
}
