/** Checks everything that is stored: layers by their sha256, other files by their form and their references. */
import { existsSync, statSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { LayerId, StackName } from '../core/ids.ts';
import { type Layout, layerFile, layerRecordFile } from '../core/layout.ts';
import { verifyBuilt } from '../store/built/verify-built.ts';
import { listStoredLayers, sizeOfLayer } from '../store/layers/list-layers.ts';
import { findLayerDamage } from '../store/layers/verify-layer.ts';
import { toNearNames } from '../store/stacks/near-names.ts';
import {
  type AffectedRevision,
  type Damage,
  type StoreSurvey,
  surveyStore,
} from '../store/survey-store.ts';

/** How much of the current layer `verify` has read. */
export interface VerifyProgress {
  /** Counted from 1. */
  readonly layer: number;
  readonly layers: number;
  readonly id: LayerId;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Bytes read of all layers together. */
  readonly doneOfAll: number;
  readonly totalOfAll: number;
}

export interface VerifyOptions {
  /** Only check what these stacks need, in all their revisions. Default: everything, including what no stack needs. */
  readonly stacks?: readonly StackName[] | undefined;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/** What `verify` checked, and the damage that it found. */
export interface Verification {
  readonly layers: number;
  readonly layerBytes: number;
  readonly images: number;
  readonly revisions: number;
  /** Revisions of code packages. */
  readonly packages: number;
  readonly generations: number;
  /** Cached builds; 0 with `stacks`. */
  readonly builds: number;
  readonly buildBytes: number;
  /** Empty: no damage. */
  readonly damage: readonly Damage[];
}

/**
 * Reads every layer completely; changes nothing. Tasks, builds and collection may go on meanwhile: files that were removed or replaced
 * during the check are checked again, and are not damage. Throws ERR_STACKSHIM_STACK_NOT_FOUND for a name in `stacks` without a revision,
 * and the reason of an aborted `signal`.
 */
export async function verifyStore(
  layout: Layout,
  options: VerifyOptions = {},
): Promise<Verification> {
  const survey = surveyStore(layout);
  const names = options.stacks === undefined ? undefined : new Set(options.stacks);
  if (names !== undefined) requireStacks(survey, names);
  const isAffected = (hits: readonly AffectedRevision[]) =>
    names === undefined || hits.some(({ stack }) => stack !== null && names.has(stack));
  const used = [...survey.layerUsers].flatMap(([id, users]) => (isAffected(users) ? [id] : []));
  // A file without a record is left from an interrupted import or collection: count it as absent.
  const whole = listStoredLayers(layout).filter((id) => existsSync(layerRecordFile(layout, id)));
  const ids = new Set(names === undefined ? [...whole, ...used] : used);
  const { broken, bytes } = await readLayers(layout, ids, options);
  const damage =
    broken.length + survey.damage.length === 0 ? [] : await confirm(layout, survey, broken);
  const built = names === undefined ? await verifyBuilt(layout, options.signal) : undefined;
  const ofStore = damage.filter(
    // Damage to generations and to `current` affects every stack.
    ({ kind, hits }) => kind === 'generation' || kind === 'current' || isAffected(hits),
  );
  return {
    layers: ids.size,
    layerBytes: bytes,
    images: survey.images.size,
    revisions: survey.revisions.length,
    packages: survey.packages.revisions.length,
    generations: survey.generations,
    builds: built?.count ?? 0,
    buildBytes: built?.bytes ?? 0,
    damage: [...ofStore, ...(built?.damage ?? []).map(toBuildDamage)],
  };
}

const toBuildDamage = (error: StackshimError): Damage => ({
  kind: 'build',
  path: String(error.details['path']),
  error,
  hits: [],
});

async function readLayers(
  layout: Layout,
  ids: ReadonlySet<LayerId>,
  { onProgress, signal }: VerifyOptions,
): Promise<{ readonly broken: readonly LayerId[]; readonly bytes: number }> {
  const broken: LayerId[] = [];
  let bytes = 0;
  const sizes = [...ids].map((id) => [id, sizeOfLayer(layout, id) ?? 0] as const);
  const totalOfAll = sizes.reduce((sum, [, size]) => sum + size, 0);
  for (const [index, [id, totalBytes]] of sizes.entries()) {
    const position = { layer: index + 1, layers: ids.size, id };
    let doneBytes = 0;
    const onBytes = (more: number) => {
      doneBytes += more;
      bytes += more;
      onProgress?.({ ...position, doneBytes, totalBytes, doneOfAll: bytes, totalOfAll });
    };
    if ((await findLayerDamage(layout, id, { onBytes, signal })) !== undefined) broken.push(id);
  }
  return { broken, bytes };
}

const MAX_LOOKS = 5;

/** Checks apparent damage again, because the store may have changed meanwhile. */
async function confirm(
  layout: Layout,
  before: StoreSurvey,
  broken: readonly LayerId[],
): Promise<readonly Damage[]> {
  const now = surveyStore(layout);
  const seen = new Set(before.damage.map(({ path }) => path));
  const damage = now.damage.filter(({ path }) => seen.has(path));
  let left = broken;
  for (let look = 1; look <= MAX_LOOKS && left.length > 0; look += 1) {
    const found = await lookAgain(layout, left);
    const changed = found.filter(({ hasChanged }) => hasChanged);
    // The last look also counts a layer whose record keeps changing, because it was damaged at each look.
    const proven = look === MAX_LOOKS ? found : found.filter((one) => !one.hasChanged);
    damage.push(...proven.map((one) => one.damage));
    left = changed.map(({ id }) => id);
  }
  return damage;
}

/** Damage is proven only if the layer's record stays the same from before the look at the layer until after the look at its users. */
async function lookAgain(layout: Layout, layers: readonly LayerId[]) {
  const found: { id: LayerId; record: string | undefined; error: StackshimError }[] = [];
  for (const id of layers) {
    const record = identifyRecord(layout, id);
    const error = await findLayerDamage(layout, id);
    if (error !== undefined) found.push({ id, record, error });
  }
  const { layerUsers } = surveyStore(layout);
  return found.flatMap(({ id, record, error }) => {
    const now = identifyRecord(layout, id);
    if (now === undefined && !layerUsers.has(id)) return [];
    const path = String(error.details['path'] ?? layerFile(layout, id));
    const damage: Damage = { kind: 'layer', path, error, hits: layerUsers.get(id) ?? [] };
    return [{ id, hasChanged: now !== record, damage }];
  });
}

/** Changes when the layer is stored again; undefined if the layer has no record. */
function identifyRecord(layout: Layout, id: LayerId): string | undefined {
  const stats = statSync(layerRecordFile(layout, id), { throwIfNoEntry: false, bigint: true });
  return stats && `${stats.ino} ${stats.mtimeNs}`;
}

function requireStacks(survey: StoreSurvey, names: ReadonlySet<StackName>): void {
  const known = new Set([
    ...survey.revisions.map(({ stack }) => stack),
    ...survey.damage.flatMap(({ hits }) => hits.flatMap(({ stack }) => stack ?? [])),
  ]);
  for (const name of names) {
    if (known.has(name)) continue;
    const near = toNearNames(name, [...known]);
    throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `verify ${name}: no such stack`, {
      details: { stack: name, near },
      hint: near.length === 0 ? undefined : `did you mean ${near.join(' or ')}?`,
    });
  }
}
