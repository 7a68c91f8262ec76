/** Stacks as plain data for people and programs: what there is, and what it takes on disk. */
import { stat } from 'node:fs/promises';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import type { ImageDigest, LayerId, StackName } from '../core/ids.ts';
import { type Layout, layerFile } from '../core/layout.ts';
import { readCurrentGeneration } from './generations.ts';
import { type Image, type ImageConfig, STACK_LABELS } from './image.ts';
import { readImage } from './image-files.ts';
import { resolveStack } from './resolve-stack.ts';
import { type Revision, readRevisionNumbers, requireRevision } from './revisions.ts';

export interface StackLayer {
  readonly id: LayerId;
  readonly diffId: string;
  /** Size of the EROFS file; null when it is missing. */
  readonly sizeBytes: number | null;
  /** Whether another stack's current revision has it too. */
  readonly shared: boolean;
}

export interface StackSummary {
  readonly name: StackName;
  /** The current revision. */
  readonly revision: number;
  readonly image: ImageDigest;
  readonly description: string | null;
  /** When the revision was made, ISO 8601. */
  readonly createdAt: string;
  /** Bytes of the layers that no other stack has. */
  readonly ownBytes: number;
  readonly sharedBytes: number;
}

export interface StackDetails extends StackSummary {
  /** Lowest first. */
  readonly layers: readonly StackLayer[];
  readonly architecture: string;
  readonly config: ImageConfig;
  readonly source: Revision['source'];
  /** Numbers of all stored revisions, ascending. */
  readonly revisions: readonly number[];
}

interface Entry {
  readonly revision: Revision;
  readonly image: Image;
}

/** Every stack that has a current revision, by name. Throws as `resolveStack` does when any is damaged. */
export async function listStacks(layout: Layout): Promise<StackSummary[]> {
  const entries = readCurrentEntries(layout);
  const uses = countUses(entries);
  const sizes = await statLayers(layout, [...uses.keys()]);
  return entries.map((entry) => toSummary(entry, toLayers(entry.image, uses, sizes)));
}

/** One stack. Throws ERR_STACKSHIM_STACK_NOT_FOUND and as `resolveStack` does. */
export async function showStack(layout: Layout, name: StackName): Promise<StackDetails> {
  const pinned = resolveStack(layout, { name });
  const entry = { revision: requireRevision(layout, name, pinned.revision), image: pinned.image };
  const uses = countUses(readSoundEntries(layout));
  const layers = toLayers(entry.image, uses, await statLayers(layout, entry.image.layers));
  return {
    ...toSummary(entry, layers),
    layers,
    architecture: entry.image.architecture,
    config: entry.image.config,
    source: entry.revision.source,
    revisions: readRevisionNumbers(layout, name),
  };
}

function readCurrentEntries(layout: Layout): Entry[] {
  const generation = readCurrentGeneration(layout);
  return Object.entries(generation?.stacks ?? {}).map(([name, number]) =>
    readEntry(layout, name as StackName, number),
  );
}

function readEntry(layout: Layout, name: StackName, number: number): Entry {
  const revision = requireRevision(layout, name, number);
  return { revision, image: readImage(layout, revision.image) };
}

/** What other stacks have, as far as it can be read: damage to one is no reason not to show another. */
function readSoundEntries(layout: Layout): Entry[] {
  const generation = readCurrentGeneration(layout);
  return Object.entries(generation?.stacks ?? {}).flatMap(([name, number]) => {
    try {
      return [readEntry(layout, name as StackName, number)];
    } catch (error) {
      if (error instanceof StackshimError) return [];
      throw error;
    }
  });
}

function countUses(entries: readonly Entry[]): Map<LayerId, number> {
  const uses = new Map<LayerId, number>();
  for (const { image } of entries) {
    for (const id of new Set(image.layers)) uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  return uses;
}

async function statLayers(
  layout: Layout,
  ids: readonly LayerId[],
): Promise<Map<LayerId, number | null>> {
  const sizes = await Promise.all(
    ids.map(async (id) => {
      try {
        return (await stat(layerFile(layout, id))).size;
      } catch (error) {
        if (errnoCodeOf(error) === 'ENOENT') return null;
        throw error;
      }
    }),
  );
  return new Map(ids.map((id, index) => [id, sizes[index] ?? null]));
}

function toLayers(
  image: Image,
  uses: ReadonlyMap<LayerId, number>,
  sizes: ReadonlyMap<LayerId, number | null>,
): StackLayer[] {
  return image.layers.map((id, index) => ({
    id,
    diffId: image.diffIds[index] ?? '',
    sizeBytes: sizes.get(id) ?? null,
    shared: (uses.get(id) ?? 0) > 1,
  }));
}

function toSummary({ revision, image }: Entry, layers: readonly StackLayer[]): StackSummary {
  const sum = (shared: boolean) =>
    layers
      .filter((layer) => layer.shared === shared)
      .reduce((bytes, layer) => bytes + (layer.sizeBytes ?? 0), 0);
  return {
    name: revision.stack,
    revision: revision.revision,
    image: image.digest,
    description: image.config.labels[STACK_LABELS.description] ?? null,
    createdAt: revision.createdAt,
    ownBytes: sum(false),
    sharedBytes: sum(true),
  };
}
