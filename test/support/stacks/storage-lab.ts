/** An installation with small stacks that share a lowest layer. A test may break it. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach } from 'vitest';
import { imagesDir, type Layout, layersDir } from '../../../src/core/layout.ts';
import type { Image } from '../../../src/store/images/image.ts';
import type { Revision } from '../../../src/store/stacks/revisions.ts';
import { type Installation, openInstallation } from '../../../src/task/installation.ts';
import { makeTar } from '../images/small-tar.ts';
import { disposeInstallation } from '../installation/dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  optionsOf,
  prepareLayout,
  type RunOptions,
} from '../installation/test-layout.ts';
import { addSeededStack, importSeeded } from './seeded-stacks.ts';

export interface StorageLab {
  readonly layout: Layout;
  readonly installation: Installation;
  /** For `runTask`. */
  readonly options: RunOptions;
  /** For the executable. */
  readonly env: Readonly<Record<string, string>>;
  /** Imports an image of the shared layer and a layer that contains `seed`, without a revision. */
  import(seed: string): Promise<Image>;
  /** Makes such an image the newest and current revision of a stack. */
  add(name: string, seed: string): Promise<Revision>;
  layerFiles(): readonly string[];
  imageFiles(): readonly string[];
}

/** Registers the hooks: every test has its own installation. `base` is the tar of the shared layer. */
export function useStorageLab(
  base: () => Promise<Buffer> | Buffer = () => makeTar([{ path: 'base', content: 'base' }]),
): StorageLab {
  let folder = '';
  const layout = (): Layout => layoutBelow(folder);
  beforeEach(() => {
    folder = makeInstallationFolder('storage');
    prepareLayout(layout());
  });
  afterEach(() => {
    disposeInstallation(layout());
    rmSync(folder, { recursive: true });
  });
  return {
    get layout() {
      return layout();
    },
    get installation() {
      return openInstallation(layout());
    },
    get options() {
      return optionsOf(layout());
    },
    get env() {
      return envOf(layout());
    },
    import: async (seed) => await importSeeded(layout(), await base(), seed),
    add: async (name, seed) => await addSeededStack(layout(), await base(), { name, seed }),
    layerFiles: () => namesIn(layersDir(layout())),
    imageFiles: () => namesIn(imagesDir(layout())),
  };
}

const namesIn = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder).sort() : [];
