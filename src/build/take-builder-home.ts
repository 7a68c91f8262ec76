/** The homes of builds: `build/0`, `build/1` and so on. The lock `locks/builder.<n>` gives each to one build at a time. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { buildCgroup } from '../cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { BUILD_RANGE_COUNT } from '../core/host-ids.ts';
import { buildDir, type Layout, locksDir } from '../core/layout.ts';
import { waitForLock } from '../store/with-lock.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import { removeTree } from '../sys/remove-tree.ts';
import type { System } from '../sys/system.ts';

/** How many builds run at a time in one root folder, unless a caller asks for more. */
const BUILDS_AT_A_TIME = 2;
/** The most builds that may run at a time: each needs a build range. */
const MOST_BUILDS = BUILD_RANGE_COUNT;

/** Checks a number of builds. Default: {@link BUILDS_AT_A_TIME}. Throws ERR_STACKSHIM_SPEC_INVALID unless it is 1 to {@link MOST_BUILDS}. */
export function requireJobs(jobs: number = BUILDS_AT_A_TIME): number {
  if (Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= MOST_BUILDS) return jobs;
  const text = `read --jobs ${jobs}: not a whole number from 1 to ${MOST_BUILDS}`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, { details: { field: 'jobs' } });
}

const DEFAULT_WAIT_MS = 600_000;
const PAUSE_MS = 100;
const MAX_TRIES = 20;

export interface HeldHome {
  /** The holder of the lock may treat everything in this folder as garbage. The folder does not exist until it is prepared. */
  readonly folder: string;
  /** The parent cgroup of the build's steps. It does not exist until the first step starts. */
  readonly cgroup: string;
  /** Passed on to every program of the build: a killed build's lock becomes free only when its last program is gone. */
  readonly lock: FileLock;
}

export interface TakeHomeOptions {
  /** Default: 10 minutes. */
  readonly waitMs?: number | undefined;
  /** How many builds may run at a time, at most {@link MOST_BUILDS}. Default, and at least: {@link BUILDS_AT_A_TIME}. */
  readonly jobs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes the first free home; waits for a build to end if there is none. Removes what dead builds left, in other homes, too. The caller
 * gives the home back with {@link releaseBuilderHome}. Throws ERR_STACKSHIM_STACK_BUSY.
 */
export async function takeBuilderHome(
  layout: Layout,
  system: System,
  options: TakeHomeOptions,
): Promise<HeldHome> {
  const { waitMs = DEFAULT_WAIT_MS, jobs = 0, signal } = options;
  const builds = Math.min(Math.max(jobs, BUILDS_AT_A_TIME), MOST_BUILDS);
  const path = buildDir(layout);
  const toBusy = () =>
    new StackshimError(
      'ERR_STACKSHIM_STACK_BUSY',
      `build in ${path}: ${builds} other builds are still running`,
      { details: { path, waitMs } },
    );
  const take = () => holdFirst(system, toPlaces(layout).slice(0, builds));
  const home = await waitForLock(layout, take, { waitMs, toBusy, signal });
  await clearHome(home);
  await clearDeadHomes(layout, system);
  return home;
}

/** Removes the cgroup and folder of a build that ended, and releases its lock. */
export async function releaseBuilderHome(home: HeldHome): Promise<void> {
  try {
    await clearHome(home);
  } finally {
    home.lock.release();
  }
}

/** Returns the folders of dead builds: nobody holds their locks. */
export const findDeadHomes = (layout: Layout, system: System): readonly string[] =>
  Array.from(holdDeadHomes(layout, system), ({ folder, lock }) => {
    lock.release();
    return folder;
  });

/** Removes the homes of dead builds. */
export async function clearDeadHomes(layout: Layout, system: System): Promise<void> {
  for (const home of holdDeadHomes(layout, system)) await releaseBuilderHome(home);
}

/** Yields the homes of dead builds, locked. The caller releases each. */
function* holdDeadHomes(layout: Layout, system: System): Generator<HeldHome> {
  for (const place of toPlaces(layout)) {
    const home = existsSync(place.folder) ? holdFirst(system, [place]) : undefined;
    if (home !== undefined) yield home;
  }
}

/** Locks the first place that is free; undefined if there is none. */
function holdFirst(system: System, places: ReturnType<typeof toPlaces>): HeldHome | undefined {
  for (const { folder, cgroup, lockFile } of places) {
    const lock = takeFileLock(system, lockFile, { wait: false });
    if (lock !== undefined) return { folder, cgroup, lock };
  }
  return undefined;
}

/** Removes the folder last: while it exists, other builds look for the rest. */
async function clearHome({ folder, cgroup }: Omit<HeldHome, 'lock'>): Promise<void> {
  if (!existsSync(folder)) return;
  await removeCgroup(cgroup);
  await removeFolder(folder);
}

/** Retries: processes of a killed step may exist for some milliseconds after its builder's lock is free. */
async function removeCgroup(cgroup: string): Promise<void> {
  const driver = openCgroupDriver();
  for (let left = MAX_TRIES; ; left -= 1) {
    const stuck = await driver.remove(cgroup);
    if (stuck.length === 0) return;
    if (left === 0) {
      const text = `remove cgroup ${stuck[0]}: processes of a build are still in it`;
      throw new StackshimError('ERR_STACKSHIM_SYSTEM', text, { details: { paths: stuck } });
    }
    await driver.killProcesses(cgroup);
    await delay(PAUSE_MS);
  }
}

/** Retries: a killed builder's own processes may write for some milliseconds after the lock is free. */
async function removeFolder(folder: string): Promise<void> {
  for (let left = MAX_TRIES; ; left -= 1) {
    try {
      return await removeTree(folder);
    } catch (error) {
      if (errnoCodeOf(error) !== 'ENOTEMPTY' || left === 0) throw error;
      await delay(PAUSE_MS);
    }
  }
}

const toPlaces = (layout: Layout) =>
  Array.from({ length: MOST_BUILDS }, (_, index) => ({
    folder: `${buildDir(layout)}/${index}`,
    cgroup: buildCgroup(layout, index),
    lockFile: `${locksDir(layout)}/builder.${index}`,
  }));
