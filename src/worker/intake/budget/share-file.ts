/**
 * How the workers of an installation on one machine tell each other what they reserve: a folder below the run folder with two files for
 * each worker. `NAME.lock` is locked as long as the worker lives; `NAME.json` has its share and is replaced whole.
 *
 * Nobody waits for a lock, because its holder may be frozen. A worker writes its larger share first and reads those of others afterwards: of
 * two workers that reserve at the same moment, at least one sees the other, and gives back.
 */
import { fstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { unlessMissing } from '../../../core/errors.ts';
import { integer, listOf, mapOf, objectOf, oneOf, type Reader } from '../../../core/read-fields.ts';
import { ensureDirectorySync, namesIn, randomName } from '../../../sys/files.ts';
import { type FileLock, takeFileLock } from '../../../sys/lock.ts';
import { bootId } from '../../../sys/processes.ts';
import type { System } from '../../../sys/system.ts';
import type { Needs } from '../../taken-job.ts';
import type { Claim, Share } from './share.ts';

export interface ShareFolder {
  /** Replaces this worker's share. */
  write(share: Share): void;
  /** The shares of the other workers, also of those that are dead while tasks of theirs are left. */
  readOthers(): readonly Share[];
  /**
   * Looks whether dead workers still have tasks, and removes the files of those that have none. Until then their shares count.
   */
  sweep(): Promise<void>;
  /** Removes this worker's files. */
  close(): void;
}

export interface ShareFolderOptions {
  /** Only root may write to it. Made if it is missing. */
  readonly folder: string;
  readonly system: System;
  /** Whether tasks of a dead process are left. */
  readonly hasTasks: (pid: number) => Promise<boolean>;
}

interface StoredShare extends Share {
  readonly version: 1;
  readonly pid: number;
  /** Of the process: in a run folder that outlives a boot, files may be older. */
  readonly bootId: string;
}

const LOCK = '.lock';

/** Throws a system error if the folder cannot be written. */
export function openShareFolder({ folder, system, hasTasks }: ShareFolderOptions): ShareFolder {
  ensureDirectorySync(folder, 0o700);
  const { own, lock } = lockNew(system, folder);
  const others = () =>
    namesIn(folder)
      .filter((name) => name.endsWith(LOCK) && name !== `${own}${LOCK}`)
      .map((name) => name.slice(0, -LOCK.length));
  return {
    write: (share) => writeShare(`${folder}/${own}`, share),
    readOthers: () =>
      others().flatMap((name) => {
        const share = readShare(`${folder}/${name}.json`);
        return share?.bootId === bootId() ? [share] : [];
      }),
    async sweep() {
      for (const name of others()) await removeIfDead(system, `${folder}/${name}`, hasTasks);
    },
    close() {
      removeFiles(`${folder}/${own}`);
      lock.release();
    },
  };
}

/** A worker that sweeps may have locked or removed the new file in the moment before it was locked here. */
function lockNew(
  system: System,
  folder: string,
): { readonly own: string; readonly lock: FileLock } {
  for (;;) {
    const own = `${process.pid}-${randomName()}`;
    const path = `${folder}/${own}${LOCK}`;
    const lock = takeFileLock(system, path, { wait: false });
    if (lock === undefined) continue;
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(lock.fd).ino)
      return { own, lock };
    lock.release();
  }
}

function writeShare(path: string, { reserved, claims, tenants }: Share): void {
  const stored: StoredShare = {
    version: 1,
    pid: process.pid,
    bootId: bootId(),
    reserved,
    claims,
    tenants,
  };
  writeFileSync(`${path}.new`, JSON.stringify(stored), { mode: 0o600 });
  renameSync(`${path}.new`, `${path}.json`);
}

const bytes = integer(0);
const amount: Reader<number> = (value, field) =>
  typeof value === 'number' && value >= 0 ? value : bytes(value, field);
const needs = objectOf<Needs>({ memoryBytes: amount, diskBytes: amount, cpus: amount });
const readStored = objectOf<StoredShare>({
  version: oneOf(1),
  pid: integer(1),
  bootId: (value) => String(value),
  reserved: needs,
  claims: listOf(objectOf<Claim>({ needs, sinceMs: amount })),
  tenants: mapOf(bytes),
});

/** Undefined for a worker that has not written yet, or whose version this program cannot read. */
function readShare(path: string): StoredShare | undefined {
  const text = unlessMissing(() => readFileSync(path, 'utf8'));
  if (text === undefined) return undefined;
  try {
    return readStored(JSON.parse(text), '');
  } catch {
    // The file was written by another version. Its worker's tasks are bounded by their own limits.
    return undefined;
  }
}

async function removeIfDead(
  system: System,
  path: string,
  hasTasks: ShareFolderOptions['hasTasks'],
): Promise<void> {
  const lock = takeFileLock(system, `${path}${LOCK}`, { wait: false });
  if (lock === undefined) return;
  try {
    const share = readShare(`${path}.json`);
    const mayHaveTasks = share !== undefined && share.bootId === bootId();
    if (mayHaveTasks && (await hasTasks(share.pid))) return;
    removeFiles(path);
  } finally {
    lock.release();
  }
}

function removeFiles(path: string): void {
  for (const end of ['.new', '.json', LOCK]) rmSync(`${path}${end}`, { force: true });
}
