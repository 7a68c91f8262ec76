/** Reads every small file of the store: finds which revisions and images exist, what they need, and what cannot be read. */
import { hasCode, type StackshimError } from '../core/errors.ts';
import { type ImageDigest, isStackName, type LayerId, type StackName } from '../core/ids.ts';
import { currentLink, generationsDir, type Layout, stacksDir } from '../core/layout.ts';
import { namesIn } from '../sys/files.ts';
import { type Image, listStoredImages, readImage } from './images/image.ts';
import { lacksContentDigest } from './images/image-names.ts';
import type { PackageOwner } from './packages/package.ts';
import { type PackageSurvey, surveyPackages } from './packages/survey-packages.ts';
import {
  type Generation,
  readCurrentGeneration,
  readGeneration,
  revisionIn,
} from './stacks/generations.ts';
import {
  type Revision,
  readRevision,
  readRevisionNumbers,
  revisionFile,
  toMissing,
} from './stacks/revisions.ts';
import { readNumbers, toCorrupt, unlessDamaged } from './stored-json.ts';

/** A revision of a stack or of a code package. */
export interface AffectedRevision {
  /** Null for a revision of a code package. */
  readonly stack: StackName | null;
  /** Absent for a revision of a stack. */
  readonly code?: PackageOwner;
  readonly revision: number;
  readonly current: boolean;
}

/** A file of the store that cannot be used. */
export interface Damage {
  readonly kind: 'layer' | 'image' | 'revision' | 'generation' | 'current' | 'package' | 'build';
  /** The damaged or missing file. */
  readonly path: string;
  readonly error: StackshimError;
  /** Revisions that cannot be used because of the damage. */
  readonly hits: readonly AffectedRevision[];
}

export interface StoreSurvey {
  readonly generation: Generation | undefined;
  /** Number of stored generations. */
  readonly generations: number;
  /** Readable generations, ascending, including the current one. */
  readonly history: readonly Generation[];
  /** The newest revision of each stack that any readable generation names. */
  readonly newestNamed: ReadonlyMap<StackName, number>;
  readonly revisions: readonly Revision[];
  readonly packages: PackageSurvey;
  readonly images: ReadonlyMap<ImageDigest, Image>;
  /** Revisions that need an image, readable or not. */
  readonly imageUsers: ReadonlyMap<ImageDigest, readonly AffectedRevision[]>;
  /** Revisions that need a layer; empty if only an image without revisions needs it. */
  readonly layerUsers: ReadonlyMap<LayerId, readonly AffectedRevision[]>;
  readonly damage: readonly Damage[];
}

/** Blocks for as many file reads as there are revisions, images and generations. Damage is returned, not thrown. */
export function surveyStore(layout: Layout): StoreSurvey {
  const damage: Damage[] = [];
  const note: Note = (kind, path, hits = []) => {
    return (error) => {
      const { path: named } = error.details;
      damage.push({ kind, path: typeof named === 'string' ? named : path, error, hits });
    };
  };
  const link = currentLink(layout);
  const generation = unlessDamaged(() => readCurrentGeneration(layout), note('current', link));
  const numbers = readNumbers(generationsDir(layout));
  const history = numbers.flatMap((number) => {
    if (number === generation?.number) return generation;
    const path = `${generationsDir(layout)}/${number}.json`;
    // The damage was already noted with the link that names this generation.
    if (damage.some((one) => one.path === path)) return [];
    // A generation that has disappeared meanwhile was collected.
    return unlessDamaged(() => readGeneration(layout, number), note('generation', path)) ?? [];
  });
  // Before the first flip creates the link, one generation exists and none is current.
  if (generation === undefined && numbers.length > 1 && damage.length === 0) {
    const missing = { code: 'ERR_STACKSHIM_STACK_CORRUPT', what: 'link' } as const;
    note('current', link)(toCorrupt(link, 'missing', missing));
  }
  const newestNamed = new Map<StackName, number>();
  for (const { stacks } of generation === undefined ? history : [...history, generation]) {
    for (const [name, number] of Object.entries(stacks) as [StackName, number][]) {
      newestNamed.set(name, Math.max(number, newestNamed.get(name) ?? 0));
    }
  }
  const revisions = surveyRevisions(layout, generation, note);
  const imageUsers = new Map<ImageDigest, AffectedRevision[]>();
  for (const { image, stack, revision } of revisions) {
    const current = revisionIn(generation, stack) === revision;
    append(imageUsers, image, [{ stack, revision, current }]);
  }
  const packages = surveyPackages(layout);
  for (const { image, ...entry } of packages.revisions) {
    append(imageUsers, image, [toAffected(entry)]);
  }
  for (const { path, error, revision, ...entry } of packages.damage) {
    const hits = revision === null ? [] : [toAffected({ ...entry, revision })];
    damage.push({ kind: 'package', path, error, hits });
  }
  const images = new Map<ImageDigest, Image>();
  const layerUsers = new Map<LayerId, AffectedRevision[]>();
  for (const digest of new Set([...listStoredImages(layout), ...imageUsers.keys()])) {
    const users = imageUsers.get(digest) ?? [];
    const image = unlessDamaged(() => readImage(layout, digest), note('image', digest, users));
    if (image === undefined) continue;
    images.set(digest, image);
    for (const id of new Set(image.layers)) append(layerUsers, id, users);
  }
  const generations = numbers.length;
  const read = { generation, generations, history, newestNamed, revisions, packages };
  return { ...read, images, imageUsers, layerUsers, damage };
}

type PackageEntry = PackageOwner & Pick<AffectedRevision, 'revision' | 'current'>;

const toAffected = ({ name, tenant, revision, current }: PackageEntry): AffectedRevision => ({
  ...{ stack: null, code: { name, tenant }, revision, current },
});

type Note = (
  kind: Damage['kind'],
  path: string,
  hits?: readonly AffectedRevision[],
) => (error: StackshimError) => void;

function surveyRevisions(
  layout: Layout,
  generation: Generation | undefined,
  note: Note,
): Revision[] {
  const revisions: Revision[] = [];
  const stored = namesIn(stacksDir(layout)).filter(isStackName).sort();
  const names = new Set([...stored, ...(Object.keys(generation?.stacks ?? {}) as StackName[])]);
  for (const stack of names) {
    const now = revisionIn(generation, stack);
    const numbers = readRevisionNumbers(layout, stack);
    for (const revision of numbers) {
      const hits = [{ stack, revision, current: now === revision }];
      const path = revisionFile(layout, stack, revision);
      const found = unlessDamaged(
        () => readRevision(layout, stack, revision),
        note('revision', path, hits),
      );
      if (found !== undefined) revisions.push(found);
    }
    if (now === undefined || numbers.includes(now)) continue;
    const hits = [{ stack, revision: now, current: true }];
    note('revision', revisionFile(layout, stack, now), hits)(toMissing(layout, stack, now));
  }
  return revisions;
}

function append<K, V>(map: Map<K, V[]>, key: K, values: readonly V[]): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [...values]);
  else known.push(...values);
}

export interface FormatSurvey {
  /** Images whose content digest is not known yet. */
  readonly unnamed: readonly ImageDigest[];
  /** One ERR_STACKSHIM_FORMAT_NEWER for each file. */
  readonly newer: readonly StackshimError[];
}

/** Finds files in an outdated or too new format. Reads one more file per image than {@link surveyStore}. Damage does not throw. */
export function surveyFormats(layout: Layout): FormatSurvey {
  const { images, damage } = surveyStore(layout);
  const newer = damage.map(({ error }) => error).filter(isNewer);
  const unnamed: ImageDigest[] = [];
  for (const image of images.keys()) {
    try {
      if (lacksContentDigest(layout, image)) unnamed.push(image);
    } catch (error) {
      if (!isNewer(error)) throw error;
      newer.push(error);
    }
  }
  return { unnamed, newer };
}

const isNewer = (error: unknown) => hasCode(error, 'ERR_STACKSHIM_FORMAT_NEWER');
