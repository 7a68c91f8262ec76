/** The first entry of a file of saved stacks: what the file holds. docs/on-disk-layout.md describes the file. */

import * as z from 'zod/mini';
import { checkSafely } from '../../core/check-safely.ts';
import { StackshimError } from '../../core/errors.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../../core/ids.ts';
import { isLayerRecord, type LayerRecord } from '../../layers/layer-record.ts';
import { isStoredImage, type StoredImage } from '../../stacks/stored-formats.ts';

export const INDEX_PATH = 'stackshim.json';
export const SIGNATURE_PATH = 'stackshim.sig';
export const MAX_INDEX_BYTES = 16 * 1024 * 1024;
export const MAX_SIGNATURE_BYTES = 4096;

export const toLayerPath = (id: string) => `layers/${id}.erofs`;

const MOST_STACKS = 4096;
const MOST_LAYERS = 65_536;

const indexSchema = z.strictObject({
  version: z.literal(1),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  stacks: z
    .array(
      z.strictObject({
        stack: z.custom<StackName>((value) => typeof value === 'string' && isStackName(value)),
        /** On the machine that saved it. */
        revision: z.int().check(z.gte(1)),
        image: z.custom<ImageDigest>((value) => typeof value === 'string' && isImageDigest(value)),
      }),
    )
    .check(z.minLength(1), z.maxLength(MOST_STACKS)),
  images: z
    .array(z.custom<StoredImage>(isStoredImage, { error: 'not an image' }))
    .check(z.maxLength(MOST_STACKS)),
  /** Of every layer of every image, whether or not the file holds it; each file follows in this order. */
  layers: z
    .array(z.custom<LayerRecord>(isLayerRecord, { error: 'not the record of a layer' }))
    .check(z.maxLength(MOST_LAYERS)),
});

export type SavedIndex = z.infer<typeof indexSchema>;

/** Throws ERR_STACKSHIM_SAVE_INVALID; a sound index names an image for each stack and a record for each layer. */
export function parseSavedIndex(bytes: Uint8Array): SavedIndex {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw toInvalidSave('its index is not JSON', { cause: error });
  }
  const parsed = checkSafely(() => indexSchema.safeParse(value));
  if (!parsed?.success) {
    const issue = parsed?.error.issues[0];
    throw toInvalidSave(
      `index: ${issue?.path.join('.') ?? 'file'}: ${issue?.message ?? 'not valid'}`,
    );
  }
  checkReferences(parsed.data);
  return parsed.data;
}

function checkReferences({ stacks, images, layers }: SavedIndex): void {
  const digests = new Set<string>(images.map(({ digest }) => digest));
  const ids = new Set<string>(layers.map(({ id }) => id));
  const names = new Set<string>(stacks.map(({ stack }) => stack));
  if (names.size !== stacks.length) throw toInvalidSave('index: a stack comes twice');
  if (digests.size !== images.length || ids.size !== layers.length) {
    throw toInvalidSave('index: an image or a layer comes twice');
  }
  for (const { stack, image } of stacks) {
    if (!digests.has(image)) throw toInvalidSave(`index: no image ${image} for ${stack}`);
  }
  for (const image of images) {
    const missing = image.layers.find((id) => !ids.has(id));
    if (missing !== undefined)
      throw toInvalidSave(`index: no layer ${missing} for ${image.digest}`);
  }
}

/** The error for a file of saved stacks that is not what it must be. */
export function toInvalidSave(
  reason: string,
  options: { readonly cause?: unknown; readonly details?: Record<string, unknown> } = {},
): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SAVE_INVALID', `read saved stacks: ${reason}`, options);
}
