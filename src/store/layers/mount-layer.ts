/** Mounts a stored layer once per boot, shared by all tasks. */
import { chmodSync } from 'node:fs';
import type { LayerId } from '../../core/ids.ts';
import { type Layout, layerFile, mountedLayerDir, mountedLayersDir } from '../../core/layout.ts';
import { ensureDirectorySync } from '../../sys/files.ts';
import { takeFileLock } from '../../sys/lock.ts';
import { withSystemFd } from '../../sys/paths.ts';
import type { System } from '../../sys/system.ts';
import { requireLayer } from './layer-record.ts';
import { isLayerMounted } from './mounted-layers.ts';
import { openLayerFile } from './open-layer-file.ts';

/**
 * Returns the folder where the layer is mounted, read-only and without devices. One system call if the layer is already mounted; the first caller
 * mounts it while others wait. Blocks. The mount stays until the layer is collected or the machine shuts down. Throws ERR_STACKSHIM_LAYER_CORRUPT
 * if the stored layer is missing or damaged.
 */
export function mountLayer(system: System, layout: Layout, id: LayerId): string {
  if (!isLayerMounted(layout, id)) mountFirst(system, layout, id);
  return mountedLayerDir(layout, id);
}

/**
 * Makes later tasks use the stored file that replaced a damaged, mounted file. Blocks. The new mount covers the old one, so the folder is never
 * empty; running tasks keep their clones.
 */
export function remountLayer(system: System, layout: Layout, id: LayerId): void {
  const target = mountedLayerDir(layout, id);
  if (!isLayerMounted(layout, id)) return;
  const lock = takeFileLock(system, `${target}.lock`, { wait: true });
  try {
    attachLayerFile(system, layerFile(layout, id), target);
  } finally {
    lock?.release();
  }
}

function mountFirst(system: System, layout: Layout, id: LayerId): void {
  const target = mountedLayerDir(layout, id);
  // A container's root passes through the run folder to its own root filesystem.
  ensureDirectorySync(layout.run, 0o711);
  // Only root may pass: a layer has files that its image hides from other users, with modes that the image chose.
  ensureDirectorySync(mountedLayersDir(layout), 0o700);
  // Earlier versions of stackshim let other users pass.
  chmodSync(mountedLayersDir(layout), 0o700);
  const lock = takeFileLock(system, `${target}.lock`, { wait: true });
  try {
    if (isLayerMounted(layout, id)) return;
    requireLayer(layout, id);
    ensureDirectorySync(target, 0o700);
    attachLayerFile(system, layerFile(layout, id), target);
  } finally {
    lock?.release();
  }
}

/** Attaches an EROFS file at `target`, an existing folder. Throws like {@link openLayerFile}. */
export function attachLayerFile(system: System, file: string, target: string): void {
  const { fd } = openLayerFile(system, file);
  withSystemFd(system, fd, () => system.attachMount(fd, target));
}
