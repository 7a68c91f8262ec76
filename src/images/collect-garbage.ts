/** Frees what no revision, task, import or build needs, while all of them go on. */
import { type ErrorJson, StackshimError } from '../core/errors.ts';
import type { ImageDigest, LayerId, StackName } from '../core/ids.ts';
import { type Layout, runtimeVersionsDir } from '../core/layout.ts';
import {
  detachUnneededLayers,
  findUnneededLayers,
  removeLayers,
  type StoredLayer,
} from '../layers/collect-layers.ts';
import { clearStaleTmp, findStaleFiles } from '../layers/stale-files.ts';
import { whileNothingIsPinned } from '../layers/store-lease.ts';
import { clearStaleVersions } from '../runtime/runtime-version.ts';
import { chooseGenerations } from '../stacks/choose-generations.ts';
import { chooseRevisions } from '../stacks/choose-revisions.ts';
import { collectImages, restoreImages } from '../stacks/collect-images.ts';
import { imageFile } from '../stacks/image-files.ts';
import { listStoredImages } from '../stacks/list-stored.ts';
import { removeGenerations } from '../stacks/remove-generations.ts';
import { unlinkRevisions } from '../stacks/remove-revisions.ts';
import type { Revision } from '../stacks/revisions.ts';
import { withStacksLock } from '../stacks/stacks-lock.ts';
import { type StoreSurvey, surveyStore } from '../stacks/survey-store.ts';
import { measureTree } from '../sys/measure-tree.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { listIdleVolumes, removeIdleVolume } from '../task/disk/idle-volumes.ts';
import type { Installation } from '../task/installation.ts';
import { findRunFolders } from '../task/records/run-folders.ts';
import { readTaskImages } from '../task/records/task-images.ts';
import { findUnneededCopies, setCopiesAside } from './collect-base-copies.ts';
import { clearDeadHomes, findDeadHomes } from './take-builder-home.ts';

export interface CollectOptions {
  /** How many of a stack's newest revisions stay, besides the current one. Default: all. */
  readonly keepRevisions?: number;
  /** Only find out what would go. */
  readonly dryRun?: boolean;
}

export interface Collection {
  readonly dryRun: boolean;
  readonly revisions: readonly { readonly stack: StackName; readonly revision: number }[];
  /** Numbers of the generations that no rollback can lead to any more. */
  readonly generations: readonly number[];
  readonly images: readonly ImageDigest[];
  readonly layers: readonly StoredLayer[];
  /** What processes died over: paths below the root folder. */
  readonly files: readonly string[];
  /** Folders of the builder's copies of images that no stack has as its current one: paths below the root folder. */
  readonly bases: readonly string[];
  /** How many scratch volumes waited for tasks. */
  readonly volumes: number;
  /** Bytes of the layers, files, bases and volumes. */
  readonly freedBytes: number;
  /** Why things stayed that may be garbage: damage that hides what is needed, a disk too full to write down what goes. */
  readonly obstacles: readonly ErrorJson[];
}

/**
 * Marks what is needed and removes the rest: old revisions (with `keepRevisions`) and those that never became current,
 * generations that nothing can go back to, images that no revision, task record or lease names, the layers that only those
 * had, mounts of such layers, what dead processes left half written, scratch volumes that wait for tasks, and the builder's
 * copies of bases that are not current any more. A second call finds nothing to do; killed half way, the next call goes on. Tasks are never made to wait; imports
 * and builds for as long as it unlinks.
 * Where damage hides what is needed, whatever it may need stays. Throws ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_SYSTEM.
 */
export async function collectGarbage(
  installation: Installation,
  options: CollectOptions = {},
): Promise<Collection> {
  const { layout, system } = installation;
  const { dryRun = false } = options;
  const stale = [...findStaleFiles(layout), ...findDeadHomes(layout, system)];
  const staleBytes = await measureAll(stale);
  if (!dryRun) {
    await clearStaleTmp(layout);
    await clearDeadHomes(layout, system);
  }
  const volumes = listIdleVolumes(layout);
  if (!dryRun) for (const volume of volumes) removeIdleVolume(system, volume);
  const { aside, ...swept } = await whileNothingIsPinned(layout, system, (pinned) =>
    sweep(installation, pinned, options),
  );
  const asideBytes = await measureAll(aside);
  if (!dryRun) {
    for (const folder of aside) await removeTree(folder);
    clearStaleVersions(runtimeVersionsDir(layout));
  }
  const sized = [...swept.layers, ...volumes];
  const freedBytes = sized.reduce((sum, one) => sum + one.sizeBytes, staleBytes + asideBytes);
  return { dryRun, ...swept, files: stale, volumes: volumes.length, freedBytes };
}

async function measureAll(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(paths.map(measureTree));
  return sizes.reduce((sum, { bytes }) => sum + bytes, 0);
}

interface Swept
  extends Pick<
    Collection,
    'revisions' | 'generations' | 'images' | 'layers' | 'bases' | 'obstacles'
  > {
  /** Where the bases lie now. */
  readonly aside: readonly string[];
}

/** Nothing can be pinned meanwhile; tasks may begin at any moment. */
async function sweep(
  installation: Installation,
  pinned: ReadonlySet<string>,
  options: CollectOptions,
): Promise<Swept> {
  const { layout, system } = installation;
  const { dryRun = false, keepRevisions } = options;
  if (!dryRun) restoreImages(layout);
  const tasks = readTaskImages(layout);
  const isInUse = (image: ImageDigest) => pinned.has(image) || tasks.images.has(image);
  const { survey, generations, gone, refusals } = await withStacksLock(
    layout,
    async () => {
      const found = surveyStore(layout);
      const chosen = chooseRevisions(found, { keep: keepRevisions, isInUse });
      const removed = await removeRevisions(layout, chosen, dryRun);
      const unreachable = findUnreachable(found, removed.gone);
      if (!dryRun) await removeGenerations(layout, unreachable);
      return { survey: found, generations: unreachable, ...removed };
    },
    { system },
  );
  const kept = new Set(
    survey.revisions.filter((one) => !gone.includes(one)).map(({ image }) => image),
  );
  const isNeeded = (image: ImageDigest) => kept.has(image) || isInUse(image);
  const obstacles = [...findObstacles(layout, survey, tasks.images), ...tasks.errors];
  const revisions = gone.map(({ stack, revision }) => ({ stack, revision }));
  const told = [...obstacles, ...refusals].map((error) => error.toJSON());
  const result = { revisions, generations, obstacles: told };
  if (obstacles.length > 0) return { ...result, images: [], layers: [], bases: [], aside: [] };
  const bases = findUnneededCopies(layout, survey, pinned);
  const aside = dryRun ? bases : await setCopiesAside(layout, bases);
  const unneeded = listStoredImages(layout).filter((image) => !isNeeded(image));
  const images = dryRun
    ? unneeded
    : await collectImages(layout, unneeded, () => isNamedByTask(layout));
  const layers = await sweepLayers(installation, toNeededLayers(survey, images, pinned), dryRun);
  return { ...result, images, layers, bases, aside };
}

/** None while damage hides what they told. */
function findUnreachable(survey: StoreSurvey, gone: readonly Revision[]): readonly number[] {
  if (survey.damage.some(({ kind }) => kind !== 'image' && kind !== 'layer')) return [];
  const revisions = survey.revisions.filter((one) => !gone.includes(one));
  const { generation: current, history: generations } = survey;
  return chooseGenerations({ current, generations, revisions });
}

interface RemovedRevisions {
  readonly gone: readonly Revision[];
  readonly refusals: readonly StackshimError[];
}

/** That a number is used up must be written down first. A full disk has no room for that, but for all that follows. */
async function removeRevisions(
  layout: Layout,
  chosen: readonly Revision[],
  dryRun: boolean,
): Promise<RemovedRevisions> {
  if (dryRun) return { gone: chosen, refusals: [] };
  const gone: Revision[] = [];
  const refusals: StackshimError[] = [];
  for (const stack of new Set(chosen.map((one) => one.stack))) {
    const its = chosen.filter((one) => one.stack === stack);
    const numbers = its.map(({ revision }) => revision).sort((a, b) => a - b);
    try {
      await unlinkRevisions(layout, stack, numbers);
      gone.push(...its);
    } catch (error) {
      const isFull = error instanceof StackshimError && error.code === 'ERR_STACKSHIM_DISK_FULL';
      if (!isFull) throw error;
      refusals.push(error);
    }
  }
  return { gone, refusals };
}

/** Damage that hides which image, or which layers, something needs. */
function findObstacles(
  layout: Layout,
  survey: StoreSurvey,
  ofTasks: ReadonlySet<ImageDigest>,
): readonly StackshimError[] {
  const errors = survey.damage
    .filter(({ kind, hits }) => kind === 'current' || kind === 'revision' || hits.length > 0)
    .map(({ error }) => error);
  for (const image of ofTasks) {
    // What a revision needs as well is among the damage already.
    if (survey.images.has(image) || survey.imageUsers.has(image)) continue;
    errors.push(toUnreadable(layout, image));
  }
  if (survey.generation === undefined && survey.generations > 0 && errors.length === 0) {
    const message = 'collect garbage: there are generations, but none is current';
    errors.push(new StackshimError('ERR_STACKSHIM_STACK_CORRUPT', message));
  }
  return errors;
}

function toUnreadable(layout: Layout, image: ImageDigest): StackshimError {
  const path = imageFile(layout, image);
  return new StackshimError(
    'ERR_STACKSHIM_IMAGE_CORRUPT',
    `read image file ${path}: a task has this image`,
    { details: { path }, hint: 'end that task: stackshim ps lists them' },
  );
}

/** A task whose record cannot be read may have any image. */
function isNamedByTask(layout: Layout): (image: ImageDigest) => boolean {
  const { images, errors } = readTaskImages(layout);
  return (image) => errors.length > 0 || images.has(image);
}

function toNeededLayers(
  survey: StoreSurvey,
  gone: readonly ImageDigest[],
  pinned: ReadonlySet<string>,
): (id: LayerId) => boolean {
  const collected = new Set(gone);
  const kept = [...survey.images.values()].filter(({ digest }) => !collected.has(digest));
  const needed = new Set(kept.flatMap(({ layers }) => layers));
  return (id) => needed.has(id) || pinned.has(id);
}

async function sweepLayers(
  { layout, system }: Installation,
  isNeeded: (id: LayerId) => boolean,
  dryRun: boolean,
): Promise<readonly StoredLayer[]> {
  const layers = findUnneededLayers(layout, isNeeded);
  if (dryRun) return layers;
  const folders = findRunFolders(layout);
  await removeLayers(layout, layers);
  for (const folder of folders) detachUnneededLayers(system, folder, isNeeded);
  return layers;
}
