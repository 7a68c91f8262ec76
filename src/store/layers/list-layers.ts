/** Lists the layers on disk, complete or not. */
import { readdirSync } from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
import { isLayerId, type LayerId } from '../../core/ids.ts';
import { type Layout, layersDir, mountedLayersDir } from '../../core/layout.ts';

const FILE = /^([0-9a-f]{64})\.(?:erofs|json|blobs|packed)$/;
const MOUNTED = /^([0-9a-f]{64})(?:\.lock)?$/;

/** Ids of the layers that have a file, a record, or a file beside those, in order. */
export const listStoredLayers = (layout: Layout): readonly LayerId[] =>
  listIds(layersDir(layout), FILE);

/** Ids of the layers that have a mount point, in order. */
export const listMountedLayers = (layout: Layout): readonly LayerId[] =>
  listIds(mountedLayersDir(layout), MOUNTED);

function listIds(folder: string, pattern: RegExp): readonly LayerId[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const ids = names.map((name) => pattern.exec(name)?.[1] ?? '').filter(isLayerId);
  return [...new Set(ids)].sort();
}
