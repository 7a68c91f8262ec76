/** `df`: the disk space of stacks, builds and tasks. */
import type { LayerId, StackName } from '../core/ids.ts';
import { buildDir, imagesDir, reportsDir, scratchDir, tmpDir } from '../core/layout.ts';
import { listBuilt } from '../store/built/collect-built.ts';
import { findUnneededLayers } from '../store/layers/collect-layers.ts';
import { revisionIn } from '../store/stacks/generations.ts';
import { type StoreSurvey, surveyStore } from '../store/survey-store.ts';
import { freeBytesAt } from '../sys/files.ts';
import { measureTree } from '../sys/measure-tree.ts';
import type { Installation } from '../task/installation.ts';
import { collectGarbage } from './collect-garbage.ts';

/** The disk usage of one stack. */
export interface StackUsage {
  readonly name: StackName;
  /** The current revision. */
  readonly revision: number;
  /** The number of stored revisions. */
  readonly revisions: number;
  /** Bytes of the layers that only this stack uses, in all its revisions. */
  readonly ownBytes: number;
  /** The part of `ownBytes` that only old revisions use. */
  readonly historyBytes: number;
  /** Bytes of the layers that other stacks or packages use, too. */
  readonly sharedBytes: number;
}

/** The disk usage of the installation. */
export interface DiskUsage {
  readonly stacks: readonly StackUsage[];
  readonly layers: { readonly count: number; readonly bytes: number };
  readonly images: { readonly count: number; readonly bytes: number };
  /** Code packages, and bytes of the layers that only they use, in all their revisions. */
  readonly packages: { readonly count: number; readonly bytes: number };
  /** The cache of build steps. */
  readonly builds: { readonly count: number; readonly bytes: number };
  /** The builder's unpacked bases. */
  readonly builderBytes: number;
  /** Writable layers of tasks, and idle volumes. */
  readonly scratchBytes: number;
  /** Reports of tasks with `log`. */
  readonly reportBytes: number;
  readonly tmpBytes: number;
  /** Bytes that `collectGarbage` would free now. */
  readonly reclaimableBytes: number;
  /** Free bytes on the root folder's filesystem. */
  readonly freeBytes: number;
}

/** Measures the disk usage. Creates a missing root folder. Leaves out damage, which `verifyStore` reports. Throws like `collectGarbage`. */
export async function measureDiskUsage(installation: Installation): Promise<DiskUsage> {
  const { layout } = installation;
  // Call this first: it creates the root folder if it is missing.
  const { freedBytes } = await collectGarbage(installation, { dryRun: true });
  const survey = surveyStore(layout);
  const builds = listBuilt(layout);
  const stored = findUnneededLayers(layout, () => false);
  const sizes = new Map<string, number>(stored.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const [images, builder, scratch, reports, tmp] = await Promise.all([
    measureTree(imagesDir(layout)),
    measureTree(buildDir(layout)),
    measureTree(scratchDir(layout)),
    measureTree(reportsDir(layout)),
    measureTree(tmpDir(layout)),
  ]);
  return {
    stacks: toStackUsages(survey, sizes),
    layers: { count: stored.length, bytes: sum(sizes.values()) },
    images: { count: survey.images.size, bytes: images.bytes },
    packages: toPackageUsage(survey, sizes),
    builds: { count: builds.length, bytes: sum(builds.map(({ sizeBytes }) => sizeBytes)) },
    builderBytes: builder.bytes,
    scratchBytes: scratch.bytes,
    reportBytes: reports.bytes,
    tmpBytes: tmp.bytes,
    reclaimableBytes: freedBytes,
    freeBytes: freeBytesAt(layout.root),
  };
}

function toStackUsages(survey: StoreSurvey, sizes: ReadonlyMap<string, number>): StackUsage[] {
  const { generation, revisions, layerUsers, images } = survey;
  return Object.keys(generation?.stacks ?? {}).map((key) => {
    const name = key as StackName;
    const revision = revisionIn(generation, name) ?? 0;
    const revisionsOfStack = revisions.filter(({ stack }) => stack === name);
    const layersOf = (number?: number) =>
      new Set(
        revisionsOfStack
          .filter((one) => number === undefined || one.revision === number)
          .flatMap(({ image }) => images.get(image)?.layers ?? []),
      );
    const current = layersOf(revision);
    const isOwn = (id: LayerId) => (layerUsers.get(id) ?? []).every(({ stack }) => stack === name);
    const bytesOf = (ids: Iterable<string>) => sum([...ids].map((id) => sizes.get(id) ?? 0));
    const all = [...layersOf()];
    return {
      name,
      revision,
      revisions: revisionsOfStack.length,
      ownBytes: bytesOf(all.filter(isOwn)),
      historyBytes: bytesOf(all.filter((id) => isOwn(id) && !current.has(id))),
      sharedBytes: bytesOf(all.filter((id) => !isOwn(id))),
    };
  });
}

function toPackageUsage({ packages, layerUsers }: StoreSurvey, sizes: ReadonlyMap<string, number>) {
  const count = packages.revisions.filter(({ current }) => current).length;
  const ids = [...layerUsers].flatMap(([id, users]) =>
    users.length > 0 && users.every(({ stack }) => stack === null) ? [id] : [],
  );
  return { count, bytes: sum(ids.map((id) => sizes.get(id) ?? 0)) };
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const one of numbers) total += one;
  return total;
}
