/** Whether there is room for tasks, and whether the operator's policy can be read. */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { readPolicy } from '../../spec/read-policy.ts';
import { type Check, failed, optional, passed, required, warned } from './check.ts';

const MIB = 1024 * 1024;
const ENOUGH_BYTES = 2048 * MIB;
const LEAST_BYTES = 100 * MIB;

/** The folder itself, or the nearest one above it that exists: where it would be made. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (folder !== dirname(folder) && statSync(folder, { throwIfNoEntry: false }) === undefined) {
    folder = dirname(folder);
  }
  return folder;
}

export function checkFreeSpace(layout: Layout): Check {
  const { bavail, bsize } = statfsSync(nearestExisting(layout.root));
  return judgeFreeSpace(layout.root, bavail * bsize);
}

/** What to think of so much room. Pure. */
export function judgeFreeSpace(folder: string, freeBytes: number): Check {
  const subject = required('free space');
  const message = `${Math.floor(freeBytes / MIB)} MiB free for ${folder}`;
  const hint = 'free disk space';
  if (freeBytes < LEAST_BYTES) return failed(subject, message, hint);
  return freeBytes < ENOUGH_BYTES ? warned(subject, message, hint) : passed(subject, message);
}

/** Tasks write into a folder of the root folder's filesystem. */
export function checkDiskLimit(layout: Layout): Check {
  return warned(
    optional('disk limit'),
    'what a task writes is not limited',
    `keep ${layout.root} on a filesystem of its own, so that a task cannot fill another one`,
  );
}

export function checkPolicy(layout: Layout): Check {
  const subject = required('policy');
  const exists = statSync(layout.policyFile, { throwIfNoEntry: false }) !== undefined;
  try {
    readPolicy(layout.policyFile);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    return failed(subject, error.message, error.hint);
  }
  return passed(
    subject,
    exists ? `${layout.policyFile} is valid` : 'no policy file: defaults hold',
  );
}
