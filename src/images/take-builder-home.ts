/** The places where builds work, `build/0` and `build/1`: each is one build's at a time, by the lock `locks/builder.<n>`. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { buildDir, type Layout, locksDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import { removeTree } from '../sys/remove-tree.ts';
import type { System } from '../sys/system.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { cgroupParent } from '../task/records/task-places.ts';

/** How many builds of one root folder run at a time. */
export const BUILDS_AT_A_TIME = 2;

const DEFAULT_WAIT_MS = 600_000;
const PAUSE_MS = 100;
const MOST_TRIES = 20;

export interface HeldHome {
  /** Whoever holds the lock may treat all that lies here as garbage. Not there until it is made. */
  readonly folder: string;
  /** Below which the steps of the build run. Not there until the first of them starts. */
  readonly cgroup: string;
  /** Handed down to every program of the build, so that the lock of a killed one is free only when the last of them is gone. */
  readonly lock: FileLock;
}

export interface TakeHomeOptions {
  /** Default: 10 minutes. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Takes the first free home, waiting for a build to end, and clears away what dead builds left, in the other homes too.
 * The caller removes the folder and releases the lock: {@link leaveBuilderHome}. Throws ERR_STACKSHIM_STACK_BUSY.
 */
export async function takeBuilderHome(
  layout: Layout,
  system: System,
  options: TakeHomeOptions,
): Promise<HeldHome> {
  const waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
  await guardDisk(`make ${locksDir(layout)}`, () => ensureDirectory(locksDir(layout), 0o700));
  const endsAt = performance.now() + waitMs;
  for (;;) {
    const home = takeFreeHome(layout, system);
    if (home !== undefined) {
      await clearHome(home);
      await clearDeadHomes(layout, system);
      return home;
    }
    if (performance.now() >= endsAt) throw toBusy(layout, waitMs);
    const { signal } = options;
    await delay(PAUSE_MS, undefined, signal === undefined ? {} : { signal });
  }
}

/** Removes the folder of a build that ended, and lets the next one in. */
export async function leaveBuilderHome(home: HeldHome): Promise<void> {
  try {
    await clearHome(home);
  } finally {
    home.lock.release();
  }
}

/** Folders that builds died over: nobody holds their locks. */
export function findDeadHomes(layout: Layout, system: System): readonly string[] {
  return toPlaces(layout).flatMap(({ folder, lockFile }) => {
    if (!existsSync(folder)) return [];
    const lock = takeFileLock(system, lockFile, { wait: false });
    lock?.release();
    return lock === undefined ? [] : [folder];
  });
}

/** Removes what {@link findDeadHomes} finds. */
export async function clearDeadHomes(layout: Layout, system: System): Promise<void> {
  for (const { folder, cgroup, lockFile } of toPlaces(layout)) {
    if (!existsSync(folder)) continue;
    const lock = takeFileLock(system, lockFile, { wait: false });
    if (lock !== undefined) await leaveBuilderHome({ folder, cgroup, lock });
  }
}

/** The folder last: as long as it is there, others look for the rest. */
async function clearHome({ folder, cgroup }: Omit<HeldHome, 'lock'>): Promise<void> {
  if (!existsSync(folder)) return;
  await removeCgroup(cgroup);
  await removeFolder(folder);
}

/** A killed step's processes may be there for some milliseconds more than its builder holds its lock. */
async function removeCgroup(cgroup: string): Promise<void> {
  const driver = openCgroupDriver();
  for (let left = MOST_TRIES; ; left -= 1) {
    const stuck = await driver.remove(cgroup);
    if (stuck.length === 0) return;
    if (left === 0) throw toBusyCgroup(stuck);
    await driver.killProcesses(cgroup);
    await delay(PAUSE_MS);
  }
}

/** A killed builder's own processes may write for some milliseconds more than it holds its lock. */
async function removeFolder(folder: string): Promise<void> {
  for (let left = MOST_TRIES; ; left -= 1) {
    try {
      return await removeTree(folder);
    } catch (error) {
      if (errnoCodeOf(error) !== 'ENOTEMPTY' || left === 0) throw error;
      await delay(PAUSE_MS);
    }
  }
}

function takeFreeHome(layout: Layout, system: System): HeldHome | undefined {
  for (const { folder, cgroup, lockFile } of toPlaces(layout)) {
    const lock = takeFileLock(system, lockFile, { wait: false });
    if (lock !== undefined) return { folder, cgroup, lock };
  }
  return undefined;
}

const toPlaces = (layout: Layout) =>
  Array.from({ length: BUILDS_AT_A_TIME }, (_, index) => ({
    folder: `${buildDir(layout)}/${index}`,
    cgroup: `${cgroupParent(layout)}/build-${index}`,
    lockFile: `${locksDir(layout)}/builder.${index}`,
  }));

const toBusy = (layout: Layout, waitMs: number) =>
  new StackshimError(
    'ERR_STACKSHIM_STACK_BUSY',
    `build in ${buildDir(layout)}: ${BUILDS_AT_A_TIME} other builds are still running`,
    { details: { path: buildDir(layout), waitMs } },
  );

const toBusyCgroup = (stuck: readonly string[]) =>
  new StackshimError(
    'ERR_STACKSHIM_SYSTEM',
    `remove cgroup ${stuck[0]}: processes of a build are still in it`,
    {
      details: { paths: stuck },
    },
  );
