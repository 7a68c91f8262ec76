/** A root and a run folder with imported and mounted layers; everything is removed afterwards. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { type Layout, layerFile, layoutFrom } from '../../../src/core/layout.ts';
import {
  type ImportLayerOptions,
  importLayer,
  type LayerImport,
} from '../../../src/store/layers/import-layer.ts';
import { attachLayerFile, mountLayer } from '../../../src/store/layers/mount-layer.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { readMounts } from '../../../src/sys/mountinfo.ts';
import { readTree, type TreeNode } from './read-tree.ts';

export interface LayerLab {
  readonly folder: string;
  readonly layout: Layout;
  import(tar: Buffer, options?: Partial<ImportLayerOptions>): Promise<LayerImport>;
  /** Mounts an imported layer and returns the mount point. */
  mount(layer: LayerImport): string;
  /** Checks an EROFS file with `fsck.erofs`, mounts it, and returns its content. */
  readImage(path: string): ReadonlyMap<string, TreeNode>;
  /** Checks and mounts an imported layer, and returns its content. */
  read(layer: LayerImport): ReadonlyMap<string, TreeNode>;
  /** Lists the root folder's `tmp/`; empty if all is well. */
  leftovers(): readonly string[];
  dispose(): void;
}

export function openLayerLab(): LayerLab {
  const folder = mkdtempSync(`${tmpdir()}/stackshim-layers-`);
  const layout = layoutFrom({ root: `${folder}/root`, run: `${folder}/run` }, {});
  const readImage = (path: string): ReadonlyMap<string, TreeNode> => {
    execFileSync('fsck.erofs', [path], { stdio: 'pipe' });
    const target = mkdtempSync(`${folder}/mount-`);
    attachLayerFile(linuxSystem, path, target);
    try {
      return readTree(target);
    } finally {
      linuxSystem.detachMount(target);
      rmSync(target, { recursive: true });
    }
  };
  return {
    folder,
    layout,
    import: (tar, options) =>
      importLayer(Readable.from([tar]), {
        layout,
        system: linuxSystem,
        compression: 'none',
        ...options,
      }),
    mount: ({ record }) => mountLayer(linuxSystem, layout, record.id),
    readImage,
    read: ({ record }) => readImage(layerFile(layout, record.id)),
    leftovers: () => readdirSync(`${layout.root}/tmp`),
    dispose: () => {
      for (const { mountPoint } of readMounts().toReversed()) {
        if (mountPoint.startsWith(`${folder}/`)) linuxSystem.detachMount(mountPoint);
      }
      rmSync(folder, { recursive: true });
    },
  };
}
