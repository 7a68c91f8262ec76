/** Damages a stored layer as a bad disk does: its size stays the same, and mounts show the damage. */
import { closeSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import type { LayerId } from '../../../src/core/ids.ts';
import { type Layout, layerFile } from '../../../src/core/layout.ts';

/** Overwrites everything except the superblock. */
export function damageLayer(layout: Layout, id: LayerId): void {
  const path = layerFile(layout, id);
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, Buffer.alloc(statSync(path).size - 2048, 0xee), 0, undefined, 2048);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
