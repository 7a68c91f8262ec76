/** Lists the layers on disk, complete or not. */
import { statSync } from 'node:fs';
import { isLayerId, type LayerId } from '../../core/ids.ts';
import { type Layout, layerFile, layersDir, mountedLayersDir } from '../../core/layout.ts';
import { namesIn } from '../../sys/files.ts';

const RECORD = /^([0-9a-f]{64})\.json$/;
const FILE = /^([0-9a-f]{64})\.(?:erofs|json|blobs|packed)$/;
const MOUNTED = /^([0-9a-f]{64})(?:\.lock)?$/;

/** Sorted ids of layers with any file: EROFS file, record, list of blobs or digest of the packed layer. */
export const listStoredLayers = (layout: Layout): readonly LayerId[] =>
  listIds(layersDir(layout), FILE);

/** Sorted ids of layers with a record, whether or not the record is valid. */
export const listRecordedLayers = (layout: Layout): readonly LayerId[] =>
  listIds(layersDir(layout), RECORD);

/** Size of the layer's file in bytes; undefined if the file is missing. */
export const sizeOfLayer = (layout: Layout, id: LayerId): number | undefined =>
  statSync(layerFile(layout, id), { throwIfNoEntry: false })?.size;

/** Sorted ids of layers with a mount point or its lock. */
export const listMountedLayers = (layout: Layout): readonly LayerId[] =>
  listIds(mountedLayersDir(layout), MOUNTED);

function listIds(folder: string, pattern: RegExp): readonly LayerId[] {
  const ids = namesIn(folder)
    .map((name) => pattern.exec(name)?.[1] ?? '')
    .filter(isLayerId);
  return [...new Set(ids)].sort();
}
