/** The first entry of a save file: the index of its content. docs/on-disk-layout.md describes the file. */
import { StackshimError } from '../../core/errors.ts';
import { date, listOf, objectOf, oneOf, readWith } from '../../core/read-fields.ts';
import { parseStrictJson } from '../../core/strict-json.ts';
import { type StoredImage, storedImage } from '../../store/images/image.ts';
import { type LayerRecord, layerRecord } from '../../store/layers/layer-record.ts';
import { imageDigest, number, stackName } from '../../store/stored-json.ts';
import type { PublishedStack } from '../publish-image.ts';

export const INDEX_PATH = 'stackshim.json';
export const SIGNATURE_PATH = 'stackshim.sig';
export const MAX_INDEX_BYTES = 16 * 1024 * 1024;
export const MAX_SIGNATURE_BYTES = 4096;

export const toLayerPath = (id: string) => `layers/${id}.erofs`;

const MAX_STACKS = 4096;
const MAX_LAYERS = 65_536;

export interface SavedIndex {
  readonly version: 1;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The stacks as on the saving machine. */
  readonly stacks: readonly PublishedStack[];
  readonly images: readonly StoredImage[];
  /** Records of all layers of all images, whether or not the file contains them; layer files follow in this order. */
  readonly layers: readonly LayerRecord[];
}

const savedStack = objectOf<PublishedStack>({
  stack: stackName,
  revision: number,
  image: imageDigest,
});

const savedIndex = objectOf<SavedIndex>({
  version: oneOf(1),
  createdAt: date,
  stacks: listOf(savedStack, MAX_STACKS, 1),
  images: listOf(storedImage, MAX_STACKS),
  layers: listOf(layerRecord, MAX_LAYERS),
});

/** Throws ERR_STACKSHIM_SAVE_INVALID. A valid index has an image for each stack and a record for each layer. */
export function parseSavedIndex(bytes: Uint8Array): SavedIndex {
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw toInvalidSave('its index is not JSON', error);
  }
  const index = readWith(savedIndex, value, ({ message }) => toInvalidSave(`index: ${message}`));
  checkReferences(index);
  return index;
}

function checkReferences({ stacks, images, layers }: SavedIndex): void {
  const digests = new Set<string>(images.map(({ digest }) => digest));
  const ids = new Set<string>(layers.map(({ id }) => id));
  const names = new Set<string>(stacks.map(({ stack }) => stack));
  if (names.size !== stacks.length) throw toInvalidSave('index: a stack occurs twice');
  if (digests.size !== images.length || ids.size !== layers.length) {
    throw toInvalidSave('index: an image or a layer occurs twice');
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

/** Makes the error for an invalid save file. */
export const toInvalidSave = (reason: string, cause?: unknown): StackshimError =>
  new StackshimError('ERR_STACKSHIM_SAVE_INVALID', `read saved stacks: ${reason}`, { cause });
