/** What the files of images, revisions and generations have in common: fields, and folders of `<n>.json`. docs/on-disk-layout.md describes each file. */

import { readdirSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import { integer, oneOf, textThat, textUpTo } from '../core/read-fields.ts';

export const FORMAT_VERSION = 1;

const MAX_LINE_CHARS = 4096;
const MAX_NUMBER = 999_999_999;

/** What every stored file says beside its content. */
export interface StoredVersion {
  readonly version: typeof FORMAT_VERSION;
}

export const version = oneOf(FORMAT_VERSION);
/** Of a revision or a generation. */
export const number = integer(1, MAX_NUMBER);
export const line = textUpTo(MAX_LINE_CHARS);
export const stackName = textThat<StackName>(isStackName, 'not a stack name');
export const imageDigest = textThat<ImageDigest>(isImageDigest, 'not an image digest');

const NUMBERED = /^([1-9][0-9]{0,8})\.json$/;

/** The numbers for which there is a file, ascending; none when there is no folder. Other names are left alone. */
export function readNumbers(directory: string): number[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const numbers: number[] = [];
  for (const name of names) {
    const digits = NUMBERED.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** One more than the largest number in use, so that what was interrupted half way is skipped. */
export const nextNumber = (numbers: readonly number[]): number => (numbers.at(-1) ?? 0) + 1;
