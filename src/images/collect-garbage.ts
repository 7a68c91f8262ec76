/** Frees what no revision, task, import or build needs, while all of them go on. */
import { type ErrorJson, hasCode, type StackshimError } from '../core/errors.ts';
import type { ImageDigest, StackName } from '../core/ids.ts';
import { type Layout, runtimeVersionsDir } from '../core/layout.ts';
import type { StoredLayer } from '../layers/collect-layers.ts';
import { clearStaleTmp, findStaleFiles } from '../layers/stale-files.ts';
import { whileNothingIsPinned } from '../layers/store-lease.ts';
import { clearStaleVersions } from '../runtime/runtime-version.ts';
import { chooseGenerations } from '../stacks/choose-generations.ts';
import { chooseRevisions } from '../stacks/choose-revisions.ts';
import { removeStrayNames, restoreImages } from '../stacks/collect-images.ts';
import { removeGenerations } from '../stacks/remove-generations.ts';
import { unlinkRevisions } from '../stacks/remove-revisions.ts';
import type { Revision } from '../stacks/revisions.ts';
import { withStacksLock } from '../stacks/stacks-lock.ts';
import { type StoreSurvey, surveyStore } from '../stacks/survey-store.ts';
import { measureTree } from '../sys/measure-tree.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { listIdleVolumes, removeIdleVolume } from '../task/disk/idle-volumes.ts';
import type { Installation } from '../task/installation.ts';
import { readTaskImages } from '../task/records/task-images.ts';
import { findUnneededCopies, setCopiesAside } from './collect-base-copies.ts';
import { findObstacles, sweepImages } from './sweep-images.ts';
import { clearDeadHomes, findDeadHomes } from './take-builder-home.ts';

/** What `gc` removes besides what nothing needs. */
export interface CollectOptions {
  /** How many of a stack's newest revisions stay, besides the current one. Default: all. */
  readonly keepRevisions?: number | undefined;
  /** Only find out what would go. */
  readonly dryRun?: boolean;
}

/** What `gc` removed or, with `dryRun`, would remove. */
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
  const swept = await sweepImages(layout, system, { survey, isNeeded, pinned, dryRun });
  if (!dryRun) await removeStrayNames(layout);
  return { ...result, ...swept, bases, aside };
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
      if (!hasCode(error, 'ERR_STACKSHIM_DISK_FULL')) throw error;
      refusals.push(error);
    }
  }
  return { gone, refusals };
}
