/** Removes the files and the mounts of layers that nothing needs. */
import { rmdirSync, unlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { unlessMissing } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import {
  type Layout,
  layerBlobsFile,
  layerFile,
  layerPackedFile,
  layerRecordFile,
  layersDir,
  mountedLayerDir,
} from '../../core/layout.ts';
import { removeMountPoint } from '../../sys/detach-copies.ts';
import type { System } from '../../sys/system.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { listMountedLayers, listStoredLayers, sizeOfLayer } from './list-layers.ts';

/** A layer on disk. */
export interface StoredLayer {
  readonly id: LayerId;
  /** 0 if only its record exists. */
  readonly sizeBytes: number;
}

/** Returns the stored layers, complete or not, for which `isNeeded` is false. */
export const findUnneededLayers = (
  layout: Layout,
  isNeeded: (id: LayerId) => boolean,
): readonly StoredLayer[] =>
  listStoredLayers(layout)
    .filter((id) => !isNeeded(id))
    .map((id) => ({ id, sizeBytes: sizeOfLayer(layout, id) ?? 0 }));

/** Removes the layers' files. The record goes first: a file without a record counts as missing. */
export async function removeLayers(
  layout: Layout,
  layers: readonly StoredLayer[],
  onRemoved: (done: number) => void = () => undefined,
): Promise<void> {
  for (const [index, { id }] of layers.entries()) {
    for (const file of [layerRecordFile, layerBlobsFile, layerPackedFile, layerFile]) {
      await rm(file(layout, id), { force: true });
    }
    onRemoved(index + 1);
  }
  if (layers.length > 0) await syncDirectory(layersDir(layout));
}

/** Removes the mounts of unneeded layers; running tasks keep their clones. The caller ensures that no task starts to use such a layer meanwhile. */
export function detachUnneededLayers(
  system: System,
  layout: Layout,
  isNeeded: (id: LayerId) => boolean,
): void {
  for (const id of listMountedLayers(layout)) {
    if (isNeeded(id)) continue;
    const target = mountedLayerDir(layout, id);
    while (system.detachMount(target));
    unlessMissing(() => removeMountPoint(system, target, () => rmdirSync(target)));
    unlessMissing(() => unlinkSync(`${target}.lock`));
  }
}
