/** An installation with small stacks that share a lowest layer. A test may break it. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { imagesDir, type Layout, layersDir } from '../../../src/core/layout.ts';
import type { Image } from '../../../src/store/images/image.ts';
import type { Revision } from '../../../src/store/stacks/revisions.ts';
import { type Installation, openInstallation } from '../../../src/task/installation.ts';
import { makeTar } from '../images/small-tar.ts';
import { disposeInstallation } from '../installation/dispose-installation.ts';
import { MACHINE_SLOTS } from '../installation/machine-slots.ts';
import { linkPatchedRunc } from '../installation/patched-runc.ts';
import { writePolicy } from '../installation/write-policy.ts';
import { addSeededStack, importSeeded } from './seeded-stacks.ts';

export interface StorageLab {
  readonly layout: Layout;
  readonly installation: Installation;
  /** For `runTask`. */
  readonly options: { readonly root: string; readonly run: string; readonly policy: string };
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
  const layout = (): Layout => ({
    root: join(folder, 'lib'),
    run: join(folder, 'run'),
    policyFile: join(folder, 'policy.json'),
    slots: MACHINE_SLOTS,
  });
  beforeEach(() => {
    folder = mkdtempSync('/var/tmp/stackshim-storage-');
    // The root of a container, an unknown user on the host, must be able to pass through to its root filesystem.
    chmodSync(folder, 0o711);
    for (const path of [layout().root, layout().run]) mkdirSync(path);
    writePolicy(layout());
    linkPatchedRunc(layout());
  });
  afterEach(() => {
    disposeInstallation(layout());
    rmSync(folder, { recursive: true });
  });
  const options = () => {
    const { root, run, policyFile } = layout();
    return { root, run, policy: policyFile };
  };
  return {
    get layout() {
      return layout();
    },
    get installation() {
      return openInstallation(layout());
    },
    get options() {
      return options();
    },
    get env() {
      const { root, run, policy } = options();
      return { STACKSHIM_ROOT: root, STACKSHIM_RUN: run, STACKSHIM_POLICY: policy };
    },
    import: async (seed) => await importSeeded(layout(), await base(), seed),
    add: async (name, seed) => await addSeededStack(layout(), await base(), { name, seed }),
    layerFiles: () => namesIn(layersDir(layout())),
    imageFiles: () => namesIn(imagesDir(layout())),
  };
}

const namesIn = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder).sort() : [];
