/** The file `layers/<hex>.json`: facts about a stored layer. docs/on-disk-layout.md describes it. */

import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { isLayerId, type LayerId } from '../core/ids.ts';
import { type Layout, layerRecordFile, layersDir } from '../core/layout.ts';
import { flag, integer, objectOf, oneOf, orNull, textThat, textUpTo } from '../core/read-fields.ts';
import { writeFileAtomic } from '../sys/write-file.ts';
import { readStoredJson, toCorrupt } from './stored-json.ts';

export interface LayerRecord {
  /** Version of this format and of the cleaning rules. */
  readonly version: 1;
  readonly id: LayerId;
  readonly sizeBytes: number;
  /** OCI DiffID of the tar from which it was made. */
  readonly diffId: string;
  /** Seconds since 1970 to which later times of files were set back; null if none were. */
  readonly mtimeCeiling: number | null;
  /** True if the tar hides everything of the layers below: an image leaves those layers out. */
  readonly opaqueRoot: boolean;
  readonly entries: number;
  /** Device nodes of the tar that were left out. */
  readonly droppedDevices: number;
  readonly compression: 'lz4';
  /** `mkfs.erofs 1.8.6`. */
  readonly createdBy: string;
}

const count = integer(0);

export const layerRecord = objectOf<LayerRecord>({
  version: oneOf(1),
  id: textThat<LayerId>(isLayerId, 'not a layer id'),
  sizeBytes: integer(1),
  diffId: textThat((value) => /^sha256:[0-9a-f]{64}$/.test(value), 'not a DiffID'),
  mtimeCeiling: orNull(count),
  opaqueRoot: flag,
  entries: count,
  droppedDevices: count,
  compression: oneOf('lz4'),
  createdBy: textUpTo(200),
});

const kind = { code: 'ERR_STACKSHIM_LAYER_CORRUPT', what: 'layer' } as const;

/**
 * Reads the record of a stored layer; {@link checkLayerFile} compares the layer's file with it. Blocks: the file is small.
 * Throws ERR_STACKSHIM_LAYER_CORRUPT when it is missing, unreadable or another layer's.
 */
export function readLayerRecord(layout: Layout, id: LayerId): LayerRecord {
  const path = layerRecordFile(layout, id);
  const record = readStoredJson(path, { ...kind, reader: layerRecord });
  if (record === undefined) throw toCorruptLayer(path, 'missing');
  if (record.id !== id) throw toCorruptLayer(path, `describes layer ${record.id}`);
  return record;
}

/** Stores a record durably. */
export async function writeLayerRecord(layout: Layout, record: LayerRecord): Promise<void> {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  await writeFileAtomic(layerRecordFile(layout, record.id), text, { durable: true });
}

/**
 * The layer that was made from the tar with this DiffID under the same ceiling of times; undefined when there is none.
 * Skips damaged records: the layer is then made again.
 */
export async function findLayerByDiffId(
  layout: Layout,
  diffId: string,
  mtimeCeiling?: number,
): Promise<LayerRecord | undefined> {
  for (const id of await listLayerIds(layout)) {
    const record = readSoundRecord(layout, id);
    if (record?.diffId === diffId && record.mtimeCeiling === (mtimeCeiling ?? null)) return record;
  }
  return undefined;
}

/** The layer's record if it and the layer's file are valid; undefined otherwise. */
export function readSoundRecord(layout: Layout, id: LayerId): LayerRecord | undefined {
  try {
    const record = readLayerRecord(layout, id);
    checkLayerFile(`${layersDir(layout)}/${id}.erofs`, record);
    return record;
  } catch (error) {
    const isCorrupt =
      error instanceof StackshimError && error.code === 'ERR_STACKSHIM_LAYER_CORRUPT';
    if (isCorrupt) return undefined;
    throw error;
  }
}

/** Throws ERR_STACKSHIM_LAYER_CORRUPT unless the file exists with the size in its record. */
export function checkLayerFile(path: string, record: LayerRecord): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw toCorruptLayer(path, 'missing');
  if (stat.size !== record.sizeBytes) {
    throw toCorruptLayer(path, `${stat.size} bytes instead of ${record.sizeBytes}`);
  }
}

/** The error for a damaged stored layer. */
export const toCorruptLayer = (path: string, reason: string, cause?: unknown): StackshimError =>
  toCorrupt(path, reason, { ...kind, cause });

/** Ids of all layers that have a record, ascending, without checking that they are valid. */
export async function listLayerIds(layout: Layout): Promise<readonly LayerId[]> {
  let names: readonly string[];
  try {
    names = await readdir(layersDir(layout));
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .filter(isLayerId)
    .sort();
}
