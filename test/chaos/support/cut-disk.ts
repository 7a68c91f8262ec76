/** A small disk whose state can be captured as after a power cut: unsynced data may be missing. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../support/timing/wait-until.ts';

export interface CutDisk {
  /** The mount point. */
  readonly folder: string;
  /**
   * Calls `look` with a mounted copy of what is on the disk at this moment, as after a reboot. The programs that write to the disk are
   * stopped meanwhile.
   */
  cut<T>(writers: readonly ChildProcess[], look: (folder: string) => Promise<T> | T): Promise<T>;
  dispose(): void;
}

/** Mount options: nothing reaches the disk during a test unless it is synced, and the filesystem does not compensate for that. */
const LAZY = 'loop,noauto_da_alloc,data=writeback,commit=3600';

/** Makes the disk, a file in memory. Requires: mkfs.ext4, loop devices. */
export function makeCutDisk(sizeMb: number): CutDisk {
  const base = mkdtempSync('/dev/shm/stackshim-cut-');
  const [image, folder, seen] = ['disk.img', 'disk', 'seen'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  let cuts = 0;
  for (const path of [folder, seen]) mkdirSync(path);
  execFileSync('truncate', ['-s', `${sizeMb}M`, image]);
  execFileSync('mkfs.ext4', ['-q', '-F', image]);
  execFileSync('mount', ['-o', LAZY, image, folder]);
  return {
    folder,
    async cut(writers, look) {
      // The loop device may hold the last copy a moment longer than it is mounted, and would be mistaken for this one.
      cuts += 1;
      const copy = join(base, `cut-${cuts}.img`);
      for (const writer of writers) writer.kill('SIGSTOP');
      await waitUntil(() => writers.every(isStopped));
      execFileSync('cp', ['--sparse=always', image, copy]);
      for (const writer of writers) writer.kill('SIGCONT');
      execFileSync('mount', ['-o', 'loop', copy, seen]);
      try {
        return await look(seen);
      } finally {
        execFileSync('umount', [seen]);
        rmSync(copy);
      }
    },
    dispose() {
      execFileSync('umount', [folder]);
      rmSync(base, { recursive: true });
    },
  };
}

/** Stops a process; a thread that is writing to the disk completes its write first. */
function isStopped({ pid }: ChildProcess): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}
