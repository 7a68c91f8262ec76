/** Frees what no revision, task, import or build needs, while all of these go on. */
import { rm } from 'node:fs/promises';
import { findUnneededCopies, moveCopiesAway } from '../build/base-copy.ts';
import { clearDeadHomes, findDeadHomes } from '../build/take-builder-home.ts';
import { type ErrorJson, hasCode, type StackshimError } from '../core/errors.ts';
import type { ImageDigest, StackName, TaskId } from '../core/ids.ts';
import {
  generationsDir,
  type Layout,
  runtimeCopiesDir,
  runtimeVersionsDir,
} from '../core/layout.ts';
import { toReporter } from '../exchange/progress.ts';
import { findObstacles, sweepImages } from '../exchange/sweep-images.ts';
import { clearStaleCopies } from '../runtime/copy-runtime.ts';
import { clearStaleVersions } from '../runtime/learn-version.ts';
import { collectBuilt, type StoredBuilt } from '../store/built/collect-built.ts';
import { clearStaleStamps } from '../store/built/mount-built.ts';
import { removeStrayNames, restoreImages } from '../store/images/collect-images.ts';
import type { StoredLayer } from '../store/layers/collect-layers.ts';
import { type NumberedFolder, removeNumbered } from '../store/numbered-folder.ts';
import { type PackageOwner, packageFolder } from '../store/packages/package.ts';
import { generationFile } from '../store/stacks/generations.ts';
import { type Revision, stackFolder } from '../store/stacks/revisions.ts';
import { clearStaleTmp, findStaleFiles } from '../store/stale-files.ts';
import { whileNothingIsPinned } from '../store/store-lease.ts';
import { type StoreSurvey, surveyStore } from '../store/survey-store.ts';
import { withStacksLock } from '../store/with-lock.ts';
import { measureTree } from '../sys/measure-tree.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { syncDirectory } from '../sys/write-file.ts';
import { unpinIdleSlots } from '../task/admission/unpin-slots.ts';
import { listIdleVolumes, removeIdleVolume } from '../task/disk/idle-volumes.ts';
import { type Installation, readPolicy } from '../task/installation.ts';
import { readTaskImages } from '../task/records/task-images.ts';
import { pruneReports } from '../task/reports/prune-reports.ts';
import { chooseGenerations } from './choose-generations.ts';
import { APART, choosePackageRevisions, chooseRevisions } from './choose-revisions.ts';

/** The options of `gc`. */
export interface CollectOptions {
  /** How many of a stack's newest revisions stay, in addition to the current one. Default: all. */
  readonly keepRevisions?: number | undefined;
  /** Only find out what would be removed. */
  readonly dryRun?: boolean;
  /** Not called with `dryRun`. A listener that throws does not affect the collection. */
  readonly onProgress?: (progress: CollectProgress) => void;
}

/** How many things of one kind `gc` has removed. */
export interface CollectProgress {
  readonly kind: 'files' | 'volumes' | 'layers' | 'bases';
  readonly done: number;
  readonly total: number;
}

/** A revision of a code package. */
export interface PackageRevisionName extends PackageOwner {
  readonly revision: number;
}

/** What `gc` removed or, with `dryRun`, would remove. */
export interface Collection {
  readonly dryRun: boolean;
  readonly revisions: readonly { readonly stack: StackName; readonly revision: number }[];
  /** Revisions of code packages. */
  readonly packages: readonly PackageRevisionName[];
  /** Numbers of the generations that no rollback can reach. */
  readonly generations: readonly number[];
  readonly images: readonly ImageDigest[];
  readonly layers: readonly StoredLayer[];
  /** Cached builds that are too old, exceed the cache's size, or are incomplete. */
  readonly builds: readonly StoredBuilt[];
  /** Unfinished files of dead processes: paths below the root folder. */
  readonly files: readonly string[];
  /** Folders with the builder's copies of images that are no stack's current image: paths below the root folder. */
  readonly bases: readonly string[];
  /** The number of idle scratch volumes. */
  readonly volumes: number;
  /** Ended tasks whose reports exceed the policy's terms. */
  readonly reports: readonly TaskId[];
  /** Bytes of the layers, builds, files, bases, volumes and reports. */
  readonly freedBytes: number;
  /** Why possible garbage stayed: damage that hides what is needed, or a disk too full to record the removal. */
  readonly obstacles: readonly ErrorJson[];
}

/**
 * Removes everything that is not needed: old revisions (with `keepRevisions`) and those that never became current; generations that no
 * rollback can reach; images that no revision, task record or lease names; layers that only those images used, and the mounts of these
 * layers; cached builds and reports beyond the policy's bounds; unfinished files of dead processes; idle scratch volumes; the builder's
 * copies of bases that are not current; stale copies of runtimes; and the pinned user namespaces of idle slots with high numbers.
 *
 * A second call finds nothing to do; after a killed call, the next one continues. Tasks never wait for the collection; imports and builds
 * wait while it unlinks. If damage hides what is needed, everything that may be needed stays. Throws ERR_STACKSHIM_STACK_BUSY,
 * ERR_STACKSHIM_SYSTEM.
 */
export async function collectGarbage(
  installation: Installation,
  options: CollectOptions = {},
): Promise<Collection> {
  const { layout, system } = installation;
  const { dryRun = false } = options;
  const report = toReporter(dryRun ? undefined : options.onProgress);
  const stale = [...findStaleFiles(layout), ...findDeadHomes(layout, system)];
  const staleBytes = await measureAll(stale);
  if (!dryRun) {
    await clearStaleTmp(layout);
    await clearDeadHomes(layout, system);
    if (stale.length > 0) report({ kind: 'files', done: stale.length, total: stale.length });
  }
  const volumes = listIdleVolumes(layout);
  if (!dryRun) {
    for (const [index, volume] of volumes.entries()) {
      removeIdleVolume(system, volume);
      report({ kind: 'volumes', done: index + 1, total: volumes.length });
    }
  }
  const { reports: terms, builds: bounds } = await readPolicy(layout);
  const reports = await pruneReports(layout, terms, { dryRun });
  const inUse = readTaskImages(layout).builds;
  const builds = collectBuilt(installation, { bounds, inUse, dryRun });
  const { movedCopies, ...swept } = await whileNothingIsPinned(layout, system, (pinned) =>
    sweep(installation, pinned, { ...options, report }),
  );
  const movedBytes = await measureAll(movedCopies);
  if (!dryRun) {
    for (const [index, folder] of movedCopies.entries()) {
      await removeTree(folder);
      report({ kind: 'bases', done: index + 1, total: movedCopies.length });
    }
    unpinIdleSlots(system, layout);
    clearStaleVersions(runtimeVersionsDir(layout));
    clearStaleStamps(layout);
    clearStaleCopies(runtimeCopiesDir(layout), runtimeVersionsDir(layout));
  }
  const sized = [...swept.layers, ...builds, ...volumes];
  const freedBytes = sized.reduce((sum, one) => sum + one.sizeBytes, 0);
  return {
    dryRun,
    ...swept,
    builds,
    files: stale,
    volumes: volumes.length,
    reports: reports.ids,
    freedBytes: freedBytes + staleBytes + movedBytes + reports.bytes,
  };
}

async function measureAll(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(paths.map(measureTree));
  return sizes.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Runs while nothing can be pinned; tasks may begin at any moment. `movedCopies` are the new paths of `bases`. */
async function sweep(
  installation: Installation,
  pinned: ReadonlySet<string>,
  options: CollectOptions & { readonly report: (progress: CollectProgress) => void },
) {
  const { layout, system } = installation;
  const { dryRun = false, keepRevisions, report } = options;
  if (!dryRun) restoreImages(layout);
  const tasks = readTaskImages(layout);
  const isInUse = (image: ImageDigest) => pinned.has(image) || tasks.images.has(image);
  const { survey, generations, ofStacks, ofPackages } = await withStacksLock(
    layout,
    system,
    async () => {
      const found = surveyStore(layout);
      const choice = { keep: keepRevisions, isInUse };
      const removed = {
        ofStacks: await removeRevisions(chooseRevisions(found, choice), dryRun, (one) =>
          stackFolder(layout, one.stack),
        ),
        ofPackages: await removeRevisions(choosePackageRevisions(found, choice), dryRun, (one) =>
          packageFolder(layout, one),
        ),
      };
      const unreachable = findUnreachable(found, removed.ofStacks.gone);
      if (!dryRun) await removeGenerations(layout, unreachable);
      return { survey: found, generations: unreachable, ...removed };
    },
  );
  const { gone } = ofStacks;
  const kept = new Set(
    [
      ...survey.revisions.filter((one) => !gone.includes(one)),
      ...survey.packages.revisions.filter((one) => !ofPackages.gone.includes(one)),
    ].map(({ image }) => image),
  );
  const isNeeded = (image: ImageDigest) => kept.has(image) || isInUse(image);
  const obstacles = [...findObstacles(layout, survey, tasks.images), ...tasks.errors];
  const revisions = gone.map(({ stack, revision }) => ({ stack, revision }));
  const errors = [...obstacles, ...ofStacks.refusals, ...ofPackages.refusals];
  const result = {
    ...{ revisions, generations, obstacles: errors.map((error) => error.toJSON()) },
    packages: ofPackages.gone.map(({ name, tenant, revision }) => ({ name, tenant, revision })),
  };
  if (obstacles.length > 0)
    return { ...result, images: [], layers: [], bases: [], movedCopies: [] };
  const bases = findUnneededCopies(layout, survey, pinned);
  const movedCopies = dryRun ? bases : await moveCopiesAway(layout, bases);
  const onLayer = (done: number, total: number) => report({ kind: 'layers', done, total });
  const swept = await sweepImages(layout, system, { survey, isNeeded, pinned, dryRun, onLayer });
  if (!dryRun) await removeStrayNames(layout);
  return { ...result, ...swept, bases, movedCopies };
}

/** Returns no generations if damage hides which ones are needed. */
function findUnreachable(survey: StoreSurvey, gone: readonly Revision[]): readonly number[] {
  if (survey.damage.some(({ kind }) => !APART.has(kind))) return [];
  const revisions = survey.revisions.filter((one) => !gone.includes(one));
  const { generation: current, history: generations } = survey;
  return chooseGenerations({ current, generations, revisions });
}

/**
 * Removes the revisions. A removal first records that the number is used. If a full disk has no room for the record, the revision stays,
 * and the later steps, which need no room, go on.
 */
async function removeRevisions<T extends { readonly revision: number }>(
  chosen: readonly T[],
  dryRun: boolean,
  folderOf: (one: T) => NumberedFolder,
): Promise<{ readonly gone: readonly T[]; readonly refusals: readonly StackshimError[] }> {
  if (dryRun) return { gone: chosen, refusals: [] };
  const gone: T[] = [];
  const refusals: StackshimError[] = [];
  const folders = new Map<string, { readonly of: NumberedFolder; readonly there: readonly T[] }>();
  for (const one of chosen) {
    const of = folderOf(one);
    const there = folders.get(of.folder)?.there ?? [];
    folders.set(of.folder, { of, there: [...there, one] });
  }
  for (const { of, there } of folders.values()) {
    const numbers = there.map(({ revision }) => revision);
    try {
      await removeNumbered(of, numbers);
      gone.push(...there);
    } catch (error) {
      if (!hasCode(error, 'ERR_STACKSHIM_DISK_FULL')) throw error;
      refusals.push(error);
    }
  }
  return { gone, refusals };
}

/** Removes generations that no rollback can reach, never the current one. Precondition: the caller holds the stacks lock. */
async function removeGenerations(layout: Layout, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return;
  for (const number of numbers) await rm(generationFile(layout, number), { force: true });
  await syncDirectory(generationsDir(layout));
}
