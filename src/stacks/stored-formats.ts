/** The formats of the files of images, revisions and generations. docs/on-disk-layout.md describes each. */
import {
  type ImageDigest,
  isImageDigest,
  isLayerId,
  isStackName,
  type StackName,
} from '../core/ids.ts';
import {
  type Check,
  exactly,
  integerUpTo,
  listOf,
  mapOf,
  matching,
  objectOf,
  textUpTo,
  WHOLE,
} from '../core/plain-checks.ts';
import type { Image } from './image.ts';

export const FORMAT_VERSION = 1;

const MOST_LAYERS = 256;
const MOST_TEXTS = 4096;
const MAX_TEXT_CHARS = 64 * 1024;
const MAX_LINE_CHARS = 4096;
const MAX_NUMBER = 999_999_999;

const version = exactly(FORMAT_VERSION);
const number = integerUpTo(MAX_NUMBER);
const line = textUpTo(MAX_LINE_CHARS);
const text = textUpTo(MAX_TEXT_CHARS);
const texts = listOf(text, { most: MOST_TEXTS });
const stackName = matching(isStackName, 'not a stack name');
const imageDigest = matching(isImageDigest, 'not an image digest');
const layerId = matching(isLayerId, 'not a layer id');
const pattern = (regex: RegExp, problem: string) => matching((value) => regex.test(value), problem);
const sha256 = pattern(/^[0-9a-f]{64}$/, 'not a sha256');
const diffId = pattern(/^sha256:[0-9a-f]{64}$/, 'not a DiffID');
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const date = matching(
  (value) => ISO_DATE.test(value) && !Number.isNaN(Date.parse(value)),
  'not a date and time of ISO 8601, UTC',
);

const imageFields = objectOf({
  version,
  digest: imageDigest,
  layers: listOf(layerId, { least: 1, most: MOST_LAYERS }),
  diffIds: listOf(diffId, { most: MOST_LAYERS }),
  config: objectOf({
    env: texts,
    entrypoint: texts,
    cmd: texts,
    workingDir: text,
    user: text,
    labels: mapOf(text, text),
  }),
  architecture: line,
});

/** What every stored file says beside its content. */
export interface StoredVersion {
  readonly version: typeof FORMAT_VERSION;
}

export type StoredImage = Image & StoredVersion;

export const checkImageFile: Check = (value, field) => {
  const fault = imageFields(value, field);
  if (fault !== undefined) return fault;
  const { layers, diffIds } = value as StoredImage;
  return layers.length === diffIds.length
    ? undefined
    : `${field}: layers and diffIds differ in number`;
};

/** For a value that is not of the store. */
export const isStoredImage = (value: unknown): value is StoredImage =>
  checkImageFile(value, WHOLE) === undefined;

/** A revision of a base that another stack was built on. */
export interface BaseReference {
  readonly stack: StackName;
  readonly revision: number;
}

/** What a revision was made from. */
export type RevisionSource =
  /** A folder with a Dockerfile; `inputHash` tells whether a build from it would differ. */
  | {
      readonly kind: 'build';
      readonly directory: string;
      readonly inputHash: string;
      /** The base it was built on, as it was then; absent where it stands on none. */
      readonly base?: BaseReference | undefined;
    }
  /** An image made elsewhere. */
  | { readonly kind: 'import'; readonly reference: string };

const buildSource = objectOf({
  kind: () => undefined,
  directory: line,
  inputHash: sha256,
  'base?': objectOf({ stack: stackName, revision: number }),
});
const importSource = objectOf({ kind: () => undefined, reference: line });

const source: Check = (value, field) => {
  const kind = (value as { readonly kind?: unknown } | null | undefined)?.kind;
  if (kind === 'build') return buildSource(value, field);
  return kind === 'import' ? importSource(value, field) : `${field}: not a build or an import`;
};

export const checkRevisionFile = objectOf({
  version,
  stack: stackName,
  revision: number,
  image: imageDigest,
  createdAt: date,
  source,
});

export const checkGenerationFile = objectOf({
  version,
  number,
  createdAt: date,
  reason: line,
  'previous?': number,
  stacks: mapOf(stackName, number),
});

/** `stacks/<name>/removed.json`: the largest number that a removed revision of the stack had. */
export const checkRemovedFile = objectOf({ version, last: number });

const MOST_IN_RELEASE = 10_000;
const releaseFields = objectOf({
  stacks: mapOf(stackName, (value, field) =>
    typeof value === 'number' ? number(value, field) : imageDigest(value, field),
  ),
});

/** The file of a release: name → number of a revision, or digest of its image. */
export interface ReleaseFile {
  readonly stacks: Readonly<Record<StackName, number | ImageDigest>>;
}

export const checkReleaseFile: Check = (value, field) => {
  const fault = releaseFields(value, field);
  if (fault !== undefined) return fault;
  const count = Object.keys((value as ReleaseFile).stacks).length;
  return count > 0 && count <= MOST_IN_RELEASE
    ? undefined
    : `stacks: not 1 to ${MOST_IN_RELEASE} stacks`;
};
