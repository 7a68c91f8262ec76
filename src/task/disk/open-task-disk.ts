/** Opens a task's disk space by the mechanism that enforces its limit, and derives the limit on inodes. */
import { openSync } from 'node:fs';
import { ensureDirectorySync } from '../../sys/files.ts';
import { withFd } from '../../sys/paths.ts';
import type { DiskAmount, System } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { DiskMechanism, HandedDisk, TaskDisk, TaskDiskRequest } from './task-disk.ts';

/**
 * Creates the task's disk space with the mechanism that the policy and the filesystem require. After a failure, the names in
 * `places` suffice to remove it. Rejects with ERR_STACKSHIM_HOST_UNSUPPORTED, ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL.
 */
export async function openTaskDisk(
  installation: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
): Promise<TaskDisk> {
  ensureDirectorySync(request.places.scratchDir, 0o700);
  switch (resolveMechanism(installation.system, request)) {
    case 'volume': {
      const { openScratchVolume } = await import('./scratch-volume.ts');
      return await openScratchVolume(installation, request);
    }
    case 'quota': {
      const { openProjectDisk } = await import('./project-disk.ts');
      return openProjectDisk(installation.system, request);
    }
    case 'sampling': {
      const { openSampledDisk } = await import('./sampled-disk.ts');
      return openSampledDisk(request);
    }
  }
}

/** Takes over the disk space that another process created for the task and handed over. */
export async function adoptTaskDisk(
  installation: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
  { mechanism, project }: HandedDisk,
): Promise<TaskDisk> {
  if (mechanism === 'volume') {
    const { adoptScratchVolume } = await import('./scratch-volume.ts');
    return adoptScratchVolume(installation, request);
  }
  if (mechanism === 'quota' && project !== undefined) {
    const { adoptProjectDisk } = await import('./project-disk.ts');
    return adoptProjectDisk(installation.system, request, project);
  }
  const { openSampledDisk } = await import('./sampled-disk.ts');
  return openSampledDisk(request);
}

/** Precondition: the scratch folder exists. */
function resolveMechanism(
  system: System,
  { mechanism, userns, places }: TaskDiskRequest,
): DiskMechanism {
  if (mechanism !== 'auto') return mechanism;
  // Root in the host's user namespace could move its files out of their project.
  if (userns === 'host') return 'volume';
  return withFd(openSync(places.scratchDir, 'r'), (folder) =>
    system.enforcesProjectQuota(folder) ? 'quota' : 'volume',
  );
}

/** Bytes per inode of a task: a typical small file with its share of folders. */
const BYTES_PER_INODE = 8192;
const MIN_INODES = 1024;

/** Adds the limit on inodes that follows from a limit in bytes. */
export const toDiskLimit = (bytes: number): DiskAmount => ({
  bytes,
  inodes: Math.max(MIN_INODES, Math.floor(bytes / BYTES_PER_INODE)),
});
