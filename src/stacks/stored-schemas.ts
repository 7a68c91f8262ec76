/** The formats of the files of images, revisions and generations. docs/on-disk-layout.md describes each. */
import { z } from 'zod';
import {
  type ImageDigest,
  isImageDigest,
  isLayerId,
  isStackName,
  type LayerId,
  type StackName,
} from '../core/ids.ts';

export const FORMAT_VERSION = 1;

const version = z.literal(FORMAT_VERSION);
const layerId = z.custom<LayerId>((value) => typeof value === 'string' && isLayerId(value), {
  message: 'not a layer id',
});
const imageDigest = z.custom<ImageDigest>(
  (value) => typeof value === 'string' && isImageDigest(value),
  { message: 'not an image digest' },
);
const stackName = z.custom<StackName>((value) => typeof value === 'string' && isStackName(value), {
  message: 'not a stack name',
});
const diffId = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'not a DiffID');
const number = z.int().min(1).max(999_999_999);
const time = z.iso.datetime();
const text = z.string().max(64 * 1024);
const texts = z.array(text).max(4096);

export const imageFileSchema = z
  .strictObject({
    version,
    digest: imageDigest,
    layers: z.array(layerId).min(1).max(256),
    diffIds: z.array(diffId),
    config: z.strictObject({
      env: texts,
      entrypoint: texts,
      cmd: texts,
      workingDir: text,
      user: text,
      labels: z.record(z.string(), text),
    }),
    architecture: z.string().max(64),
  })
  .refine((image) => image.layers.length === image.diffIds.length, {
    message: 'layers and diffIds differ in number',
  });

/** What a revision was made from. */
const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('build'),
    directory: z.string().max(4096).optional(),
    inputHash: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.strictObject({ kind: z.literal('import'), reference: z.string().max(4096) }),
]);

export type RevisionSource = z.infer<typeof sourceSchema>;

export const revisionFileSchema = z.strictObject({
  version,
  stack: stackName,
  revision: number,
  image: imageDigest,
  createdAt: time,
  source: sourceSchema,
});

export const generationFileSchema = z.strictObject({
  version,
  number,
  createdAt: time,
  reason: z.string().max(4096),
  stacks: z.record(stackName, number),
});
