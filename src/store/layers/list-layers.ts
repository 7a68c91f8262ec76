/** Lists the layers on disk, complete or not. */
import { statSync } from 'node:fs';
import { isLayerId, type LayerId } from '../../core/ids.ts';
import { type Layout, layerFile, layersDir, mountedLayersDir } from '../../core/layout.ts';
import { namesIn } from '../../sys/files.ts';

const RECORD = /^([0-9a-f]{64})\.json$/;
const FILE = /^([0-9a-f]{64})\.(?:erofs|json|blobs|packed)$/;
const MOUNTED = /^([0-9a-f]{64})(?:\.lock)?$/;

/** Ids of the layers that have a file, a record, or a file beside those, in order. */
export const listStoredLayers = (layout: Layout): readonly LayerId[] =>
  listIds(layersDir(layout), FILE);

/** Ids of the layers that have a record, in order, without checking that they are valid. */
export const listRecordedLayers = (layout: Layout): readonly LayerId[] =>
  listIds(layersDir(layout), RECORD);

/** Bytes of the layer's file; undefined if it is missing. */
export const sizeOfLayer = (layout: Layout, id: LayerId): number | undefined =>
  statSync(layerFile(layout, id), { throwIfNoEntry: false })?.size;

/** Ids of the layers that have a mount point, in order. */
export const listMountedLayers = (layout: Layout): readonly LayerId[] =>
  listIds(mountedLayersDir(layout), MOUNTED);

function listIds(folder: string, pattern: RegExp): readonly LayerId[] {
  const ids = namesIn(folder)
    .map((name) => pattern.exec(name)?.[1] ?? '')
    .filter(isLayerId);
  return [...new Set(ids)].sort();
}
