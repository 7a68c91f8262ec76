import type { LayerId, StackName } from '../core/ids.ts';
import { buildDir, imagesDir, scratchDir, tmpDir } from '../core/layout.ts';
import { findUnneededLayers } from '../layers/collect-layers.ts';
import { revisionIn } from '../stacks/generations.ts';
import { type StoreSurvey, surveyStore } from '../stacks/survey-store.ts';
import { freeBytesAt } from '../sys/files.ts';
import { measureTree } from '../sys/measure-tree.ts';
import type { Installation } from '../task/installation.ts';
import { collectGarbage } from './collect-garbage.ts';

/** What one stack takes on disk. */
export interface StackUsage {
  readonly name: StackName;
  /** The current revision. */
  readonly revision: number;
  /** How many revisions are stored. */
  readonly revisions: number;
  /** Bytes of the layers that only this stack has, all its revisions counted. */
  readonly ownBytes: number;
  /** Of those, what its other revisions have and the current one has not. */
  readonly historyBytes: number;
  /** Bytes of the layers that other stacks have, too. */
  readonly sharedBytes: number;
}

/** What the installation takes on disk. */
export interface DiskUsage {
  readonly stacks: readonly StackUsage[];
  readonly layers: { readonly count: number; readonly bytes: number };
  readonly images: { readonly count: number; readonly bytes: number };
  /** What the builder keeps: the bases that stacks were built on, unpacked. */
  readonly builderBytes: number;
  /** Writable layers of tasks, and volumes that wait for tasks. */
  readonly scratchBytes: number;
  readonly tmpBytes: number;
  /** What `collectGarbage` would free now. */
  readonly reclaimableBytes: number;
  /** Free on the root folder's filesystem. */
  readonly freeBytes: number;
}

/** Counts; changes nothing. What is damaged is left out: `verifyStore` tells of it. Throws as `collectGarbage`. */
export async function measureDiskUsage(installation: Installation): Promise<DiskUsage> {
  const { layout } = installation;
  // First: it makes the root folder where there is none yet.
  const { freedBytes } = await collectGarbage(installation, { dryRun: true });
  const survey = surveyStore(layout);
  const stored = findUnneededLayers(layout, () => false);
  const sizes = new Map<string, number>(stored.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const [images, builder, scratch, tmp] = await Promise.all([
    measureTree(imagesDir(layout)),
    measureTree(buildDir(layout)),
    measureTree(scratchDir(layout)),
    measureTree(tmpDir(layout)),
  ]);
  return {
    stacks: toStackUsages(survey, sizes),
    layers: { count: stored.length, bytes: sum(sizes.values()) },
    images: { count: survey.images.size, bytes: images.bytes },
    builderBytes: builder.bytes,
    scratchBytes: scratch.bytes,
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
    const its = revisions.filter(({ stack }) => stack === name);
    const layersOf = (number?: number) =>
      new Set(
        its
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
      revisions: its.length,
      ownBytes: bytesOf(all.filter(isOwn)),
      historyBytes: bytesOf(all.filter((id) => isOwn(id) && !current.has(id))),
      sharedBytes: bytesOf(all.filter((id) => !isOwn(id))),
    };
  });
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const one of numbers) total += one;
  return total;
}
