/** Fields that the files of images, revisions and generations have in common. docs/on-disk-layout.md describes each file. */
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
