/**
 * The common part of the files of images, revisions and generations: fields, and folders of `<n>.json`. docs/on-disk-layout.md describes
 * each file.
 */

import { readdirSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import { integer, oneOf, textThat, textUpTo } from '../core/read-fields.ts';

export const FORMAT_VERSION = 1;

const MAX_LINE_CHARS = 4096;
const MAX_NUMBER = 999_999_999;

/** The version field of every stored file. */
export interface StoredVersion {
  readonly version: typeof FORMAT_VERSION;
}

export const version = oneOf(FORMAT_VERSION);
/** The number of a revision or a generation. */
export const number = integer(1, MAX_NUMBER);
export const line = textUpTo(MAX_LINE_CHARS);
export const stackName = textThat<StackName>(isStackName, 'not a stack name');
export const imageDigest = textThat<ImageDigest>(isImageDigest, 'not an image digest');

const NUMBERED = /^([1-9][0-9]{0,8})\.json$/;

/** The numbers of the files, ascending; empty if there is no folder. Ignores other names. */
export function readNumbers(directory: string): number[] {
  const numbers: number[] = [];
  for (const name of unlessMissing(() => readdirSync(directory)) ?? []) {
    const digits = NUMBERED.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** One more than the largest number in use, so that the number of an interrupted change is skipped. */
export const nextNumber = (numbers: readonly number[]): number => (numbers.at(-1) ?? 0) + 1;
