/** Disk space that is only bounded by measuring it: for hosts with neither quotas nor loop devices. */
import { tolerate } from '../../core/errors.ts';
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
      const used = await measureTree(places.scratchDir).catch(tolerate('ENAMETOOLONG'));
      // The tree is deeper than the kernel's longest path: a task may hide files in it.
      if (used === undefined) return { ...limit, isFull: true };
      return { ...used, isFull: used.bytes > limit.bytes || used.inodes > limit.inodes };
    },
    keep: nothing,
    close: nothing,
    handOver: nothing,
    remove: () => removeTree(places.scratchDir),
  };
}
