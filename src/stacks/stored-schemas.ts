/** The formats of the files of images, revisions and generations. docs/on-disk-layout.md describes each. */
import * as z from 'zod/mini';
import {
  type ImageDigest,
  isImageDigest,
  isLayerId,
  isStackName,
  type LayerId,
  type StackName,
} from '../core/ids.ts';

export const FORMAT_VERSION = 1;

const MOST_LAYERS = 256;
const MOST_TEXTS = 4096;
const MAX_TEXT_CHARS = 64 * 1024;
const MAX_LINE_CHARS = 4096;
const MAX_NUMBER = 999_999_999;

const once = <T>(build: () => T): (() => T) => {
  let built: T | undefined;
  return () => {
    built ??= build();
    return built;
  };
};

const version = once(() => z.literal(FORMAT_VERSION));
const number = once(() => z.int().check(z.gte(1), z.lte(MAX_NUMBER)));
const line = once(() => z.string().check(z.maxLength(MAX_LINE_CHARS)));
const text = once(() => z.string().check(z.maxLength(MAX_TEXT_CHARS)));
const texts = once(() => z.array(text()).check(z.maxLength(MOST_TEXTS)));
const stackName = once(() => branded<StackName>(isStackName, 'not a stack name'));
const imageDigest = once(() => branded<ImageDigest>(isImageDigest, 'not an image digest'));
const layerId = once(() => branded<LayerId>(isLayerId, 'not a layer id'));

const branded = <T extends string>(is: (text: string) => boolean, error: string) =>
  z.custom<T>((value) => typeof value === 'string' && is(value), { error });

export const imageFileSchema = once(() =>
  z
    .strictObject({
      version: version(),
      digest: imageDigest(),
      layers: z.array(layerId()).check(z.minLength(1), z.maxLength(MOST_LAYERS)),
      diffIds: z.array(z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/, 'not a DiffID'))),
      config: z.strictObject({
        env: texts(),
        entrypoint: texts(),
        cmd: texts(),
        workingDir: text(),
        user: text(),
        labels: z.record(z.string(), text()),
      }),
      architecture: line(),
    })
    .check(
      z.refine((image) => image.layers.length === image.diffIds.length, {
        error: 'layers and diffIds differ in number',
      }),
    ),
);

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

const sourceSchema = once(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('build'),
      directory: line(),
      inputHash: z.string().check(z.regex(/^[0-9a-f]{64}$/, 'not a sha256')),
      base: z.optional(z.strictObject({ stack: stackName(), revision: number() })),
    }),
    z.strictObject({ kind: z.literal('import'), reference: line() }),
  ]),
);

export const revisionFileSchema = once(() =>
  z.strictObject({
    version: version(),
    stack: stackName(),
    revision: number(),
    image: imageDigest(),
    createdAt: z.iso.datetime(),
    source: sourceSchema(),
  }),
);

/** A plain loop, since it is on the path of every task: a schema of records takes milliseconds more for 200 stacks. */
const isStackMap = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.entries(value).every(([name, revision]) => isStackName(name) && isNumber(revision));

const isNumber = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_NUMBER;

export const generationFileSchema = once(() =>
  z.strictObject({
    version: version(),
    number: number(),
    createdAt: z.iso.datetime(),
    reason: line(),
    previous: z.optional(number()),
    stacks: z.custom<Record<StackName, number>>(isStackMap, {
      error: 'not a map of stack names to revisions',
    }),
  }),
);

/** `stacks/<name>/removed.json`: the largest number that a removed revision of the stack had. */
export const removedFileSchema = once(() => z.strictObject({ version: version(), last: number() }));

const MOST_IN_RELEASE = 10_000;

/** The file of a release: name → number of a revision, or digest of its image. */
export const releaseSchema = once(() =>
  z.strictObject({
    stacks: z.record(stackName(), z.union([number(), imageDigest()])).check(
      z.refine(
        (stacks) => {
          const count = Object.keys(stacks).length;
          return count > 0 && count <= MOST_IN_RELEASE;
        },
        { error: `not 1 to ${MOST_IN_RELEASE} stacks` },
      ),
    ),
  }),
);
