/** Disk space that is only bounded by measuring it: for hosts with neither quotas nor loop devices. */
import { errnoCodeOf } from '../../core/errors.ts';
import { measureTree } from '../../sys/measure-tree.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { TaskDisk, TaskDiskRequest } from './task-disk.ts';

export function openSampledDisk({ limit, places }: TaskDiskRequest): TaskDisk {
  const nothing = () => undefined;
  return {
    mechanism: 'sampling',
    limit,
    detach: () => Promise.resolve(),
    async measure() {
      try {
        const used = await measureTree(places.scratchDir);
        return { ...used, isFull: used.bytes > limit.bytes || used.inodes > limit.inodes };
      } catch (error) {
        // The tree is deeper than the kernel's longest path: a task may hide files in it.
        if (errnoCodeOf(error) !== 'ENAMETOOLONG') throw error;
        return { ...limit, isFull: true };
      }
    },
    keep: nothing,
    close: nothing,
    handOver: nothing,
    remove: () => removeTree(places.scratchDir),
  };
}
