/** The file `layers/<hex>.json`: facts about a stored layer. docs/on-disk-layout.md describes the file. */
import { statSync } from 'node:fs';
import { type StackshimError, unlessFailed } from '../../core/errors.ts';
import { isImageDigest, isLayerId, type LayerId } from '../../core/ids.ts';
import { type Layout, layerFile, layerRecordFile } from '../../core/layout.ts';
import {
  flag,
  integer,
  objectOf,
  oneOf,
  orNull,
  textThat,
  textUpTo,
} from '../../core/read-fields.ts';
import { readStoredJson, toCorrupt } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { listRecordedLayers } from './list-layers.ts';

export interface LayerRecord {
  /** Version of this format and of the cleaning rules. */
  readonly version: 1;
  readonly id: LayerId;
  readonly sizeBytes: number;
  /** OCI DiffID of the tar that the layer was made from. */
  readonly diffId: string;
  /** Seconds since 1970: later file times were set back to this time; null if file times were kept. */
  readonly mtimeCeiling: number | null;
  /** True if the tar hides all lower layers: an image leaves those layers out. */
  readonly opaqueRoot: boolean;
  readonly entries: number;
  /** Number of device nodes of the tar that were left out. */
  readonly droppedDevices: number;
  readonly compression: 'lz4';
  /** For example `mkfs.erofs 1.8.6`. */
  readonly createdBy: string;
}

const count = integer(0);

export const layerRecord = objectOf<LayerRecord>({
  version: oneOf(1),
  id: textThat<LayerId>(isLayerId, 'not a layer id'),
  sizeBytes: integer(1),
  diffId: textThat(isImageDigest, 'not a DiffID'),
  mtimeCeiling: orNull(count),
  opaqueRoot: flag,
  entries: count,
  droppedDevices: count,
  compression: oneOf('lz4'),
  createdBy: textUpTo(200),
});

const kind = { code: 'ERR_STACKSHIM_LAYER_CORRUPT', what: 'layer' } as const;

/**
 * Reads the record of a stored layer; {@link requireLayer} also checks the layer's file. Blocks: the file is small. Throws
 * ERR_STACKSHIM_LAYER_CORRUPT if the record is missing, unreadable or describes another layer.
 */
export function readLayerRecord(layout: Layout, id: LayerId): LayerRecord {
  const path = layerRecordFile(layout, id);
  const record = readStoredJson(path, { ...kind, reader: layerRecord });
  if (record === undefined) throw toCorruptLayer(path, 'missing');
  if (record.id !== id) throw toCorruptLayer(path, `describes layer ${record.id}`);
  return record;
}

/** Stores a record durably. */
export const writeLayerRecord = (layout: Layout, record: LayerRecord): Promise<void> =>
  writeStoredJson(layerRecordFile(layout, record.id), record);

/** Finds the layer made from this DiffID's tar with the same time ceiling, or undefined. Skips damaged records: callers remake the layer. */
export function findLayerByDiffId(
  layout: Layout,
  diffId: string,
  mtimeCeiling?: number,
): LayerRecord | undefined {
  for (const id of listRecordedLayers(layout)) {
    const record = readSoundRecord(layout, id);
    if (record?.diffId === diffId && record.mtimeCeiling === (mtimeCeiling ?? null)) return record;
  }
  return undefined;
}

/** The layer's record if {@link requireLayer} accepts it; otherwise undefined. */
export const readSoundRecord = (layout: Layout, id: LayerId): LayerRecord | undefined =>
  unlessFailed(() => requireLayer(layout, id), ['ERR_STACKSHIM_LAYER_CORRUPT']);

/** Reads the layer's record. Throws ERR_STACKSHIM_LAYER_CORRUPT unless the layer's file exists and has the recorded size. */
export function requireLayer(layout: Layout, id: LayerId): LayerRecord {
  const record = readLayerRecord(layout, id);
  const path = layerFile(layout, id);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw toCorruptLayer(path, 'missing');
  if (size === record.sizeBytes) return record;
  throw toCorruptLayer(path, `${size} bytes instead of ${record.sizeBytes}`);
}

export const toCorruptLayer = (path: string, reason: string, cause?: unknown): StackshimError =>
  toCorrupt(path, reason, { ...kind, cause });
