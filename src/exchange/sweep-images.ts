/** Removes images that nothing needs, and the layers that only those images used. */
import { StackshimError } from '../core/errors.ts';
import type { ImageDigest, LayerId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { collectImages } from '../store/images/collect-images.ts';
import { imageFile, listStoredImages } from '../store/images/image.ts';
import {
  detachUnneededLayers,
  findUnneededLayers,
  removeLayers,
  type StoredLayer,
} from '../store/layers/collect-layers.ts';
import type { Damage, StoreSurvey } from '../store/survey-store.ts';
import type { System } from '../sys/system.ts';
import { findRunFolders } from '../task/records/run-folders.ts';
import { readTaskImages } from '../task/records/task-images.ts';

interface ImageSweep {
  readonly survey: StoreSurvey;
  readonly isNeeded: (image: ImageDigest) => boolean;
  readonly pinned: ReadonlySet<string>;
  /** Ids of layers and digests of images that may be removed; all others stay. Default: all may be removed. */
  readonly only?: ReadonlySet<string>;
  readonly dryRun: boolean;
  /** Called after each removed layer. */
  readonly onLayer?: (done: number, total: number) => void;
}

/** Precondition: nothing can be pinned meanwhile, and there are no {@link findObstacles obstacles}. */
export async function sweepImages(
  layout: Layout,
  system: System,
  { survey, isNeeded, pinned, only, dryRun, onLayer }: ImageSweep,
): Promise<{ readonly images: readonly ImageDigest[]; readonly layers: readonly StoredLayer[] }> {
  const mayGo = (name: string) => only === undefined || only.has(name);
  const unneeded = listStoredImages(layout).filter((image) => mayGo(image) && !isNeeded(image));
  const images = dryRun
    ? unneeded
    : await collectImages(layout, unneeded, () => isNamedByTask(layout));
  const gone = new Set(images);
  const kept = [...survey.images.values()].filter(({ digest }) => !gone.has(digest));
  const needed = new Set(kept.flatMap((image) => image.layers));
  const stays = (id: LayerId) => !mayGo(id) || needed.has(id) || pinned.has(id);
  const layers = findUnneededLayers(layout, stays);
  if (dryRun) return { images, layers };
  const folders = findRunFolders(layout);
  await removeLayers(layout, layers, (done) => onLayer?.(done, layers.length));
  for (const folder of folders) detachUnneededLayers(system, folder, stays);
  return { images, layers };
}

/** A task whose record cannot be read may use any image. */
function isNamedByTask(layout: Layout): (image: ImageDigest) => boolean {
  const { images, errors } = readTaskImages(layout);
  return (image) => errors.length > 0 || images.has(image);
}

const HIDING: ReadonlySet<Damage['kind']> = new Set(['current', 'revision', 'package']);

/** Finds damage that hides which images or layers something needs. */
export function findObstacles(
  layout: Layout,
  survey: StoreSurvey,
  ofTasks: ReadonlySet<ImageDigest>,
): readonly StackshimError[] {
  const errors = survey.damage
    .filter(({ kind, hits }) => HIDING.has(kind) || hits.length > 0)
    .map(({ error }) => error);
  for (const image of ofTasks) {
    // An image that a revision needs, too, is already part of the damage.
    if (survey.images.has(image) || survey.imageUsers.has(image)) continue;
    const path = imageFile(layout, image);
    const message = `read image file ${path}: a task uses this image`;
    errors.push(
      new StackshimError('ERR_STACKSHIM_IMAGE_CORRUPT', message, {
        details: { path },
        hint: 'end that task; run stackshim ps to list the tasks',
      }),
    );
  }
  if (survey.generation === undefined && survey.generations > 0 && errors.length === 0) {
    const message = 'collect garbage: no generation is current, although some are stored';
    errors.push(new StackshimError('ERR_STACKSHIM_STACK_CORRUPT', message));
  }
  return errors;
}
