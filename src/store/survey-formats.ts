/** Finds stored files with an older format than this program writes, or a newer one than it reads. */
import { hasCode, type StackshimError } from '../core/errors.ts';
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { lacksContentDigest } from './images/image-names.ts';
import { surveyStore } from './survey-store.ts';

export interface FormatSurvey {
  /** Images whose content digest is not known yet. */
  readonly unnamed: readonly ImageDigest[];
  /** ERR_STACKSHIM_FORMAT_NEWER, one for each file. */
  readonly newer: readonly StackshimError[];
}

/** Blocks for as many file reads as `surveyStore`, and one more for each image. Does not throw for damage. */
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
