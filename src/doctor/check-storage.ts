/** Checks whether the installation's folders belong to root, there is room for tasks, and the operator's policy is readable. */
import { statSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { findOpenStore } from '../store/narrow-store.ts';
import { findClosedFolder } from '../sys/closed-folder.ts';
import { freeBytesAt, nearestExisting } from '../sys/files.ts';
import { toOpenHint } from '../task/explain-unreachable.ts';
import { readPolicy, toTrustedLayout } from '../task/installation.ts';
import { type Check, failed, optional, passed, required, warned } from './check.ts';

const MIB = 1024 * 1024;
const ENOUGH_BYTES = 2048 * MIB;
const MIN_BYTES = 100 * MIB;

/** Whether only root controls the installation's folders. */
export function checkFolders(layout: Layout): Check {
  const subject = required('folders');
  try {
    toTrustedLayout(layout);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    return failed(subject, error.message, error.hint);
  }
  return passed(subject, `no other user controls ${layout.root} or ${layout.run}`);
}

/** Whether the ids of tasks can reach their root filesystems, which are below the run folder. */
export function checkRunFolder({ run }: Layout): Check {
  const subject = required('run folder');
  const closed = findClosedFolder(run);
  if (closed === undefined) return passed(subject, `tasks can pass through to ${run}`);
  return failed(
    subject,
    `tasks cannot pass through ${closed} to ${run}, except with --userns host`,
    toOpenHint(closed),
  );
}

/** Finds stored files of an older version that every user can read. They cannot be restricted on a read-only filesystem. */
export function checkStoredFiles(layout: Layout): Check {
  const subject = optional('stored files');
  const open = findOpenStore(layout);
  if (open === undefined || findClosedFolder(open) !== undefined) {
    return passed(subject, 'only root can read them');
  }
  return warned(
    subject,
    `other users can read what an older version stored in ${open}`,
    'mount its filesystem writable, then run stackshim ps, which makes the files readable only by root',
  );
}

export const checkFreeSpace = ({ root }: Layout): Check =>
  judgeFreeSpace(root, freeBytesAt(nearestExisting(root)));

/** Judges the amount of free space. Pure. */
export function judgeFreeSpace(folder: string, freeBytes: number): Check {
  const subject = required('free space');
  const message = `${Math.floor(freeBytes / MIB)} MiB free for ${folder}`;
  const hint = 'free disk space';
  if (freeBytes < MIN_BYTES) return failed(subject, message, hint);
  return freeBytes < ENOUGH_BYTES ? warned(subject, message, hint) : passed(subject, message);
}

export async function checkPolicy(layout: Layout): Promise<Check> {
  const subject = required('policy');
  const exists = statSync(layout.policyFile, { throwIfNoEntry: false }) !== undefined;
  try {
    await readPolicy(layout);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    return failed(subject, error.message, error.hint);
  }
  return passed(
    subject,
    exists ? `${layout.policyFile} is valid` : 'no policy file; the defaults hold',
  );
}
