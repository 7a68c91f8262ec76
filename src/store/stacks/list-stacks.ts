/** Describes stacks and their disk space as plain data, for people and programs. */
import type { ImageDigest, LayerId, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { type Image, type ImageConfig, STACK_LABELS } from '../images/image.ts';
import { readImageNames } from '../images/image-names.ts';
import { sizeOfLayer } from '../layers/list-layers.ts';
import {
  type CurrentStack,
  type DamageListener,
  findBase,
  findBehind,
  readSoundStacks,
  throwDamage,
} from './current-stacks.ts';
import { resolveStack } from './resolve-stack.ts';
import { type Revision, readRevisionNumbers, requireRevision } from './revisions.ts';

interface StackLayer {
  readonly id: LayerId;
  readonly diffId: string;
  /** Size of the EROFS file; null if it is missing. */
  readonly sizeBytes: number | null;
  /** Whether more than one stack's current revision uses the layer. */
  readonly shared: boolean;
}

export interface StackSummary {
  readonly name: StackName;
  /** The current revision. */
  readonly revision: number;
  readonly image: ImageDigest;
  /** Content digest of the image, the same on every machine; null if not known yet. */
  readonly content: ImageDigest | null;
  readonly description: string | null;
  /** Creation time of the revision, ISO 8601. */
  readonly createdAt: string;
  /** The stack that this stack is built on. */
  readonly base: StackName | null;
  /** The base, if it has a newer revision: an update would build this stack on it. */
  readonly behind: StackName | null;
  /** Last day on which the stack gets fixes, from its label: `2026-08-31`. */
  readonly eol: string | null;
  /** Bytes of the layers that no other stack uses. */
  readonly ownBytes: number;
  readonly sharedBytes: number;
}

export interface StackDetails extends StackSummary {
  /** Lowest first. */
  readonly layers: readonly StackLayer[];
  readonly architecture: string;
  readonly config: ImageConfig;
  /** Other digests that name the image. */
  readonly otherDigests: readonly ImageDigest[];
  readonly source: Revision['source'];
  /** Numbers of all stored revisions, ascending. */
  readonly revisions: readonly number[];
}

/** Lists stacks with a current revision, by name. Damaged ones go to `onDamage` and are left out; without it, throws like `resolveStack`. */
export function listStacks(layout: Layout, onDamage: DamageListener = throwDamage): StackSummary[] {
  const entries = readSoundStacks(layout, onDamage);
  const uses = countUses(entries);
  const sizes = statLayers(layout, [...uses.keys()]);
  return entries.map((entry) =>
    toSummary(layout, entry, toLayers(entry.image, uses, sizes), entries),
  );
}

/** Describes the current revision, or the revision that `pin` names. Throws like `resolveStack`, including ERR_STACKSHIM_STACK_NOT_FOUND. */
export function showStack(
  layout: Layout,
  name: StackName,
  pin: Omit<StackReference, 'name'> = {},
): StackDetails {
  const pinned = resolveStack(layout, { name, ...pin });
  const entry = { revision: requireRevision(layout, name, pinned.revision), image: pinned.image };
  const others = readSoundStacks(layout);
  const uses = countUses(others);
  const layers = toLayers(entry.image, uses, statLayers(layout, entry.image.layers));
  return {
    ...toSummary(layout, entry, layers, others),
    layers,
    architecture: entry.image.architecture,
    config: entry.image.config,
    otherDigests: readImageNames(layout, entry.image.digest).others,
    source: entry.revision.source,
    revisions: readRevisionNumbers(layout, name),
  };
}

function countUses(entries: readonly CurrentStack[]): Map<LayerId, number> {
  const uses = new Map<LayerId, number>();
  for (const { image } of entries) {
    for (const id of new Set(image.layers)) uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  return uses;
}

const statLayers = (layout: Layout, ids: readonly LayerId[]): Map<LayerId, number | null> =>
  new Map(ids.map((id) => [id, sizeOfLayer(layout, id) ?? null]));

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

function toSummary(
  layout: Layout,
  entry: CurrentStack,
  layers: readonly StackLayer[],
  others: readonly CurrentStack[],
): StackSummary {
  const { revision, image } = entry;
  const sum = (shared: boolean) =>
    layers
      .filter((layer) => layer.shared === shared)
      .reduce((bytes, layer) => bytes + (layer.sizeBytes ?? 0), 0);
  return {
    name: revision.stack,
    revision: revision.revision,
    image: image.digest,
    content: readImageNames(layout, image.digest).content ?? null,
    description: image.config.labels[STACK_LABELS.description] ?? null,
    createdAt: revision.createdAt,
    base: findBase(entry, others) ?? null,
    behind: findBehind(entry, others),
    eol: toEol(image),
    ownBytes: sum(false),
    sharedBytes: sum(true),
  };
}

/** The day in the label `io.stackshim.eol`; null if the label is missing or not a day. Pure. */
function toEol(image: Image): string | null {
  const label = image.config.labels[STACK_LABELS.eol] ?? '';
  return /^\d{4}-\d{2}-\d{2}$/.test(label) && !Number.isNaN(Date.parse(label)) ? label : null;
}
