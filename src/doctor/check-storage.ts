/** Checks the installation's folders: their owner is root, their formats are known, there is room for tasks, and the policy is readable. */
import { existsSync } from 'node:fs';
import type { Layout } from '../core/layout.ts';
import { DEFAULT_POLICY, type Policy } from '../spec/policy.ts';
import { findOpenStore } from '../store/narrow-store.ts';
import { type FormatSurvey, surveyFormats } from '../store/survey-store.ts';
import { findClosedFolder } from '../sys/closed-folder.ts';
import { freeBytesAt, nearestExisting } from '../sys/files.ts';
import { toOpenHint } from '../task/explain-unreachable.ts';
import { readPolicy, toTrustedLayout } from '../task/installation.ts';
import {
  type Check,
  failed,
  ifRoot,
  optional,
  passed,
  required,
  unlessRefused,
  warned,
} from './check.ts';

const MIB = 1024 * 1024;
const ENOUGH_BYTES = 2048 * MIB;
const MIN_BYTES = 100 * MIB;
const FORMATS = required('stored formats');

/** Whether only root controls the installation's folders. */
export function checkFolders(layout: Layout): Promise<Check> {
  const subject = required('folders');
  return unlessRefused(
    () => {
      toTrustedLayout(layout);
      return passed(subject, `no other user controls ${layout.root} or ${layout.run}`);
    },
    ({ message, hint }) => failed(subject, message, hint),
  );
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

/** Finds stored files of an older version that every user can read. On a read-only filesystem, they cannot be restricted. */
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

/** Whether everything stored has this version, an earlier one, or one that this program does not know. */
export const checkFormats = (layout: Layout): Promise<Check> =>
  unlessRefused(
    () =>
      ifRoot(FORMATS, "not read: they are root's alone", () => judgeFormats(surveyFormats(layout))),
    ({ message, hint }) => warned(FORMATS, message, hint),
  );

function judgeFormats({ unnamed, newer }: FormatSurvey): Check {
  const [first] = newer;
  if (first !== undefined) {
    const more = newer.length === 1 ? '' : ` (and ${newer.length - 1} more)`;
    return failed(FORMATS, `${first.message}${more}`, first.hint);
  }
  if (unnamed.length > 0) {
    const images = unnamed.length === 1 ? '1 image' : `${unnamed.length} images`;
    const message = `everything has the format of this version; the content digest of ${images} is not known yet (stackshim migrate finds it)`;
    return passed(FORMATS, message);
  }
  return passed(FORMATS, 'everything stored has the format of this version');
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

export function checkPolicy(layout: Layout): Promise<Check> {
  const subject = required('policy');
  const exists = existsSync(layout.policyFile);
  const sound = exists ? `${layout.policyFile} is valid` : 'no policy file; the defaults hold';
  return unlessRefused(
    async () => {
      await readPolicy(layout);
      return passed(subject, sound);
    },
    ({ message, hint }) => failed(subject, message, hint),
  );
}

/** Reads the policy, or returns the default: another check reports an unreadable policy. */
export const readPolicyOrDefault = (layout: Layout): Promise<Policy> =>
  unlessRefused(
    () => readPolicy(layout),
    () => DEFAULT_POLICY,
  );
