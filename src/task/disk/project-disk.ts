/** Disk space limited by a project quota: the project is the scratch folder, with one of the slot's ids as its id. */
import { closeSync, openSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { IdRange } from '../../core/mount.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd, System } from '../../sys/system.ts';
import { isUsedUp, type TaskDisk, type TaskDiskRequest } from './task-disk.ts';

const NO_LIMIT = { bytes: 0, inodes: 0 };

/** An unused project id of the slot; slots share no ids. Skips ids of files that a kept task, or a task before a reboot, has left. */
function findUnused(system: System, folder: Fd, { base, size }: IdRange): number {
  for (let project = base; project < base + size; project += 1) {
    if (system.readProjectUsage(folder, project).inodes === 0) return project;
  }
  const message = 'limit disk space: all project ids are in use';
  const hint = 'run stackshim reap, then end kept tasks (stackshim ps lists them)';
  throw new StackshimError('ERR_STACKSHIM_DISK_FULL', message, { hint });
}

/** Precondition: the scratch folder exists and is empty. */
export function openProjectDisk(system: System, request: TaskDiskRequest): TaskDisk {
  const { limit, places, slot } = request;
  const folder = openSync(places.scratchDir, 'r');
  let project: number;
  try {
    project = findUnused(system, folder, slot.ids);
    system.limitProject(folder, project, limit);
    system.setProject(folder, project);
  } catch (error) {
    closeSync(folder);
    throw error;
  }
  return toDisk(system, request, folder, project);
}

/** Takes over the disk space of a project that another process created. */
export const adoptProjectDisk = (
  system: System,
  request: TaskDiskRequest,
  project: number,
): TaskDisk => toDisk(system, request, openSync(request.places.scratchDir, 'r'), project);

function toDisk(
  system: System,
  { limit, places }: TaskDiskRequest,
  folder: Fd,
  project: number,
): TaskDisk {
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(folder);
    isOpen = false;
  };
  const free = () => {
    if (isOpen) system.limitProject(folder, project, NO_LIMIT);
    close();
  };
  return {
    mechanism: 'quota',
    limit,
    project,
    detach: () => Promise.resolve(),
    measure() {
      const used = system.readProjectUsage(folder, project);
      return { ...used, isFull: isUsedUp(used.bytes, limit) || used.inodes >= limit.inodes };
    },
    keep: free,
    close,
    handOver: close,
    async remove() {
      free();
      await removeTree(places.scratchDir);
    },
  };
}
