/** A small disk whose state can be taken as a power cut would leave it: what was not synced may be missing. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../support/timing/wait-until.ts';

export interface CutDisk {
  /** Where it is mounted. */
  readonly folder: string;
  /**
   * What is on the disk at this moment, as it is found when the machine starts again; the programs that write to it are stopped
   * meanwhile. `look` gets the folder where that is mounted.
   */
  cut<T>(writers: readonly ChildProcess[], look: (folder: string) => Promise<T> | T): Promise<T>;
  dispose(): void;
}

/** Nothing reaches the disk for longer than a test takes, unless it is synced; and no filesystem's cleverness makes up for that. */
const LAZY = 'loop,noauto_da_alloc,data=writeback,commit=3600';

/** The disk is a file in memory. Requires: mkfs.ext4, loop devices. */
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
      // A loop device may have the last copy for a moment longer than it is mounted, and would be taken for this one's.
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

/** A thread in the middle of a write to the disk goes on to its end first. */
function isStopped({ pid }: ChildProcess): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}
