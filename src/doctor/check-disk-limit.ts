/** Finds the mechanism that enforces the disk limit of tasks here, and tries it. */
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { messageOf, StackshimError } from '../core/errors.ts';
import { type Layout, scratchDir } from '../core/layout.ts';
import { nearestExisting } from '../sys/files.ts';
import { withFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import { makeVolume } from '../task/disk/make-volume.ts';
import { toDiskLimit } from '../task/disk/open-task-disk.ts';
import type { DiskMechanism } from '../task/disk/task-disk.ts';
import { type Check, failed, hintOf, passed, required, warned } from './check.ts';
import { readPolicyOrDefault } from './check-storage.ts';

export const DISK_LIMIT = required('disk limit');
const OWN_FILESYSTEM = 'keep the root folder on a filesystem of its own';

/** Tries the mechanism. Needs root. Leaves nothing behind. Never rejects: a failure is the finding. */
export async function checkDiskLimit(system: System, layout: Layout): Promise<Check> {
  const { defaults } = await readPolicyOrDefault(layout);
  const mechanism = await findMechanism(system, layout);
  if (mechanism === 'sampling') {
    const message =
      'a task is ended when it is seen above its limit; until then its writes are not bounded';
    return warned(DISK_LIMIT, message, `${OWN_FILESYSTEM}, or set disk.mechanism to auto`);
  }
  if (mechanism === 'quota') {
    return passed(
      DISK_LIMIT,
      'a project quota of the filesystem for each task, without measurable cost',
    );
  }
  let folder: string | undefined;
  try {
    folder = mkdtempSync(`${nearestExisting(scratchDir(layout))}/.stackshim-doctor-`);
    const began = performance.now();
    system.close(await makeVolume(system, `${folder}/volume`, toDiskLimit(defaults.diskBytes)));
    const ms = Math.ceil(performance.now() - began);
    return passed(
      DISK_LIMIT,
      `a scratch volume on a loop device for each task: ${ms} ms to make a new one, about 1 ms to reuse one`,
    );
  } catch (error) {
    const hint = error instanceof StackshimError ? error.hint : 'load the modules loop and ext4';
    const message = `no scratch volume can be made: ${messageOf(error)}`;
    return failed(DISK_LIMIT, message, hintOf(error, hint));
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  }
}

/** Returns the mechanism that enforces the disk limit of this installation's tasks. */
export async function findMechanism(system: System, layout: Layout): Promise<DiskMechanism> {
  const { mechanism } = (await readPolicyOrDefault(layout)).disk;
  if (mechanism !== 'auto') return mechanism;
  return withFd(openSync(nearestExisting(scratchDir(layout)), 'r'), (folder) =>
    system.enforcesProjectQuota(folder) ? 'quota' : 'volume',
  );
}
