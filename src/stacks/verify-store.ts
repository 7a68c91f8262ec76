/** Holds everything that is stored against what it must be: layers by their sha256, the rest by its form and its links. */
import { existsSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { LayerId, StackName } from '../core/ids.ts';
import { type Layout, layerFile, layerRecordFile } from '../core/layout.ts';
import { listStoredLayers, sizeOfLayer } from '../layers/list-layers.ts';
import { findLayerDamage } from '../layers/verify-layer.ts';
import { toNearNames } from './near-names.ts';
import {
  type AffectedRevision,
  type Damage,
  type StoreSurvey,
  surveyStore,
} from './survey-store.ts';

/** How far `verify` has read the layer that it is at. */
export interface VerifyProgress {
  /** Counted from 1. */
  readonly layer: number;
  readonly layers: number;
  readonly id: LayerId;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface VerifyOptions {
  /** Only what these stacks need, all their revisions. Default: everything, also what no stack needs. */
  readonly stacks?: readonly StackName[] | undefined;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/** What `verify` looked at, and what it found damaged. */
export interface Verification {
  readonly layers: number;
  readonly layerBytes: number;
  readonly images: number;
  readonly revisions: number;
  readonly generations: number;
  /** Empty: all is well. */
  readonly damage: readonly Damage[];
}

/**
 * Reads every layer from end to end; changes nothing. Tasks, builds and collection may go on meanwhile: what was removed
 * or replaced under the reader is looked at again, and is no damage.
 * Throws ERR_STACKSHIM_STACK_NOT_FOUND for a name in `stacks` that has no revision, and what an aborted `signal` gives.
 */
export async function verifyStore(
  layout: Layout,
  options: VerifyOptions = {},
): Promise<Verification> {
  const survey = surveyStore(layout);
  const names = options.stacks === undefined ? undefined : new Set(options.stacks);
  if (names !== undefined) requireStacks(survey, names);
  const isMeant = (hits: readonly AffectedRevision[]) =>
    names === undefined || hits.some(({ stack }) => names.has(stack));
  const used = [...survey.layerUsers].flatMap(([id, users]) => (isMeant(users) ? [id] : []));
  // A file without a record is what an interrupted import or collection left: it counts as not there.
  const whole = listStoredLayers(layout).filter((id) => existsSync(layerRecordFile(layout, id)));
  const ids = new Set(names === undefined ? [...whole, ...used] : used);
  const { broken, bytes } = await readLayers(layout, ids, options);
  const damage =
    broken.length + survey.damage.length === 0 ? [] : await confirm(layout, survey, broken);
  return {
    layers: ids.size,
    layerBytes: bytes,
    images: survey.images.size,
    revisions: survey.revisions.length,
    generations: survey.generations,
    // Damage to generations and to `current` concerns every stack.
    damage: damage.filter(
      ({ kind, hits }) => kind === 'generation' || kind === 'current' || isMeant(hits),
    ),
  };
}

async function readLayers(
  layout: Layout,
  ids: ReadonlySet<LayerId>,
  { onProgress, signal }: VerifyOptions,
): Promise<{ readonly broken: readonly LayerId[]; readonly bytes: number }> {
  const broken: LayerId[] = [];
  let layer = 0;
  let bytes = 0;
  for (const id of ids) {
    layer += 1;
    const position = { layer, layers: ids.size, id };
    const totalBytes = sizeOfLayer(layout, id) ?? 0;
    let doneBytes = 0;
    const onBytes = (more: number) => {
      doneBytes += more;
      bytes += more;
      onProgress?.({ ...position, doneBytes, totalBytes });
    };
    if ((await findLayerDamage(layout, id, { onBytes, signal })) !== undefined) broken.push(id);
  }
  return { broken, bytes };
}

/** Looks a second time at what seemed damaged: the store may have changed in between. */
async function confirm(
  layout: Layout,
  before: StoreSurvey,
  broken: readonly LayerId[],
): Promise<readonly Damage[]> {
  const now = surveyStore(layout);
  const seen = new Set(before.damage.map(({ path }) => path));
  const damage = now.damage.filter(({ path }) => seen.has(path));
  const stored = new Set(listStoredLayers(layout));
  for (const id of broken) {
    if (!stored.has(id) && !now.layerUsers.has(id)) continue;
    const error = await findLayerDamage(layout, id);
    if (error === undefined) continue;
    const path = String(error.details['path'] ?? layerFile(layout, id));
    damage.push({ kind: 'layer', path, error, hits: now.layerUsers.get(id) ?? [] });
  }
  return damage;
}

function requireStacks(survey: StoreSurvey, names: ReadonlySet<StackName>): void {
  const known = new Set([
    ...survey.revisions.map(({ stack }) => stack),
    ...survey.damage.flatMap(({ hits }) => hits.map(({ stack }) => stack)),
  ]);
  for (const name of names) {
    if (known.has(name)) continue;
    const near = toNearNames(name, [...known]);
    throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `verify ${name}: no such stack`, {
      details: { stack: name, near },
      ...(near.length === 0 ? {} : { hint: `did you mean ${near.join(' or ')}?` }),
    });
  }
}
