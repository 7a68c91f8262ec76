/**
 * How the workers of an installation on one machine tell each other what they reserve: a folder below the run folder with a file for each
 * worker, `PID-RANDOM`. The file is locked as long as the worker lives, and has its share.
 *
 * Nobody waits for a lock, because its holder may be frozen. A worker writes its larger share first and reads those of others afterwards: of
 * two workers that reserve at the same moment, at least one sees the other, and gives back.
 */
import { fstatSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { unlessMissing } from '../../../core/errors.ts';
import {
  integer,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  type Reader,
  text,
} from '../../../core/read-fields.ts';
import { ensureDirectorySync, namesIn, randomName, writeNow } from '../../../sys/files.ts';
import { takeFileLock } from '../../../sys/lock.ts';
import { bootId } from '../../../sys/processes.ts';
import type { System } from '../../../sys/system.ts';
import type { Needs } from '../../taken-job.ts';
import type { Claim, Share } from './share.ts';

export interface ShareFolderOptions {
  /** Only root may write to it. Made if it is missing. */
  readonly folder: string;
  readonly system: System;
  /** Whether tasks of a dead process are left. */
  readonly hasTasks: (pid: number) => Promise<boolean>;
}

interface StoredShare extends Share {
  readonly version: 1;
  /** In a run folder that outlives a boot, files may be older. */
  readonly bootId: string;
}

const NAME = /^(\d{1,10})-[0-9a-f]{16}$/;

/** Throws a system error if the folder cannot be written. */
export function openShareFolder({ folder, system, hasTasks }: ShareFolderOptions) {
  // A worker may be the first to use the run folder since the boot: tasks must be able to pass through it.
  ensureDirectorySync(dirname(folder), 0o711);
  ensureDirectorySync(folder, 0o700);
  const { own, lock } = lockNew(system, folder);
  const others = () => namesIn(folder).filter((name) => NAME.test(name) && name !== own);
  let seen = new Map<string, StoredShare>();
  return {
    /** Replaces this worker's share. */
    write(share: Share) {
      const stored: StoredShare = { version: 1, bootId: bootId(), ...share };
      // Twice, a line each: a reader that comes while the file is written over sees two different lines. A full disk may take a part.
      writeNow(lock.fd, Buffer.from(`${JSON.stringify(stored)}\n`.repeat(2)), 0);
    },
    /** The shares of the other workers, also of those that are dead while tasks of theirs are left. */
    readOthers(): readonly Share[] {
      const found = new Map<string, StoredShare>();
      for (const name of others()) {
        const share = readShare(`${folder}/${name}`) ?? seen.get(name);
        if (share?.bootId === bootId()) found.set(name, share);
      }
      seen = found;
      return [...found.values()];
    },
    /** Looks whether dead workers still have tasks, and removes the files of those that have none. Until then their shares count. */
    async sweep() {
      for (const name of others()) await removeIfDead(system, `${folder}/${name}`, hasTasks);
    },
    /** Removes this worker's file. */
    close() {
      rmSync(`${folder}/${own}`, { force: true });
      lock.release();
    },
  };
}

/** A worker that sweeps may have locked or removed the new file in the moment before it was locked here. */
function lockNew(system: System, folder: string) {
  for (;;) {
    const own = `${process.pid}-${randomName()}`;
    const path = `${folder}/${own}`;
    const lock = takeFileLock(system, path, { wait: false });
    if (lock === undefined) continue;
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(lock.fd).ino)
      return { own, lock };
    lock.release();
  }
}

const amount: Reader<number> = (value, field) =>
  typeof value === 'number' && value >= 0 ? value : integer(0)(value, field);
const needs = objectOf<Needs>({ memoryBytes: amount, diskBytes: amount, cpus: amount });
const readStored = objectOf<StoredShare>({
  version: oneOf(1),
  bootId: text,
  reserved: needs,
  claims: listOf(objectOf<Claim>({ needs, sinceMs: amount })),
  tenants: mapOf(integer(0)),
});

const TRIES = 3;

/** Undefined for a worker that has not written yet, is writing, or has a version that this program cannot read. */
function readShare(path: string): StoredShare | undefined {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const [first, second] = unlessMissing(() => readFileSync(path, 'utf8'))?.split('\n') ?? [];
    if (first === undefined || first === '') return undefined;
    if (first !== second) continue;
    try {
      return readStored(JSON.parse(first), '');
    } catch {
      // The file was written by another version. The tasks of its worker are bounded by their own limits.
      return undefined;
    }
  }
  return undefined;
}

async function removeIfDead(
  system: System,
  path: string,
  hasTasks: ShareFolderOptions['hasTasks'],
): Promise<void> {
  const lock = takeFileLock(system, path, { wait: false });
  if (lock === undefined) return;
  try {
    const share = readShare(path);
    const isOlder = share !== undefined && share.bootId !== bootId();
    const pid = Number(path.slice(path.lastIndexOf('/') + 1).split('-')[0]);
    if (isOlder || !(await hasTasks(pid))) rmSync(path, { force: true });
  } finally {
    lock.release();
  }
}
