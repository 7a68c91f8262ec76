/**
 * How the workers of an installation on one machine tell each other what they reserve. A folder below the run folder has one file for each worker,
 * `PID-RANDOM`. The file contains the worker's share and is locked as long as the worker lives.
 *
 * Nobody waits for a lock, because its holder may be frozen. A worker writes its larger share before it reads those of others: of two workers that
 * reserve at the same moment, at least one sees the other and gives back.
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
  /** Created if missing, writable by root only. */
  readonly folder: string;
  readonly system: System;
  /** Whether a dead process has left tasks. */
  readonly hasTasks: (pid: number) => Promise<boolean>;
}

interface StoredShare extends Share {
  readonly version: 1;
  /** A file may be from an earlier boot if the run folder outlives one. */
  readonly bootId: string;
}

const NAME = /^(\d{1,10})-[0-9a-f]{16}$/;

/** Creates this worker's file and locks it. Throws a system error if the folder cannot be written. */
export function openShareFolder({ folder, system, hasTasks }: ShareFolderOptions) {
  // This worker may be the first user of the run folder since the boot, and tasks must be able to traverse it.
  ensureDirectorySync(dirname(folder), 0o711);
  ensureDirectorySync(folder, 0o700);
  const { own, lock } = lockNew(system, folder);
  const others = () => namesIn(folder).filter((name) => NAME.test(name) && name !== own);
  let seen = new Map<string, StoredShare>();
  return {
    /** Replaces this worker's share. */
    write(share: Share) {
      const stored: StoredShare = { version: 1, bootId: bootId(), ...share };
      // Written twice, one line each: a reader sees two different lines during a write, or after a full disk cut the write short.
      writeNow(lock.fd, Buffer.from(`${JSON.stringify(stored)}\n`.repeat(2)), 0);
    },
    /** Reads the shares of the other workers, including dead workers with tasks left. */
    readOthers(): readonly Share[] {
      const found = new Map<string, StoredShare>();
      for (const name of others()) {
        const share = readShare(`${folder}/${name}`) ?? seen.get(name);
        if (share?.bootId === bootId()) found.set(name, share);
      }
      seen = found;
      return [...found.values()];
    },
    /** Removes the files of dead workers that have no tasks left. Until then their shares count. */
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

/** A sweeping worker may lock or remove the new file before it is locked here; then try again. */
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

/** Undefined if the worker has not written yet, is writing, or uses a version that this program cannot read. */
function readShare(path: string): StoredShare | undefined {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const [first, second] = unlessMissing(() => readFileSync(path, 'utf8'))?.split('\n') ?? [];
    if (first === undefined || first === '') return undefined;
    if (first !== second) continue;
    try {
      return readStored(JSON.parse(first), '');
    } catch {
      // Written by another version. The tasks of that worker are bounded by their own limits.
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
