/** Disk space limited only by measuring it, for hosts with neither quotas nor loop devices. */
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
      const { bytes, inodes, isComplete } = await measureTree(places.scratchDir);
      // The tree is deeper than the kernel's longest path: a task may hide files there.
      if (!isComplete) return { ...limit, isFull: true };
      return { bytes, inodes, isFull: bytes > limit.bytes || inodes > limit.inodes };
    },
    keep: nothing,
    close: nothing,
    handOver: nothing,
    remove: () => removeTree(places.scratchDir),
  };
}
