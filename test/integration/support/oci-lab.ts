/** A new OCI layout and root folder for each test, with functions for both. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach } from 'vitest';
import type { Layout } from '../../../src/core/layout.ts';
import {
  type ImportOciLayoutOptions,
  importOciLayout,
} from '../../../src/exchange/oci-image/import-oci-layout.ts';
import type { Image } from '../../../src/store/images/image.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { layoutAt } from '../../support/stacks/stack-store.ts';

export const LOWER = makeTar([
  { kind: 'directory', path: 'etc' },
  { path: 'etc/a', content: 'a' },
]);
export const UPPER = makeTar([
  { kind: 'directory', path: 'etc' },
  { path: 'etc/b', content: 'b' },
]);

export interface OciLab {
  /** Contains everything else. */
  readonly folder: string;
  /** The OCI layout. */
  readonly source: string;
  readonly layout: Layout;
  /** Imports the image tagged `latest`. */
  take(options?: Partial<ImportOciLayoutOptions>): Promise<Image>;
  /** Lists a folder of the root folder. */
  list(name: string): readonly string[];
  blobPath(digest: string): string;
}

/** Registers the hooks; every property changes with each test. */
export function useOciLab(): OciLab {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(`${tmpdir()}/stackshim-images-`);
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const source = () => `${folder}/oci`;
  const layout = () => layoutAt(`${folder}/root`);
  return {
    get folder() {
      return folder;
    },
    get source() {
      return source();
    },
    get layout() {
      return layout();
    },
    take: (options = {}) =>
      importOciLayout(layout(), {
        system: linuxSystem,
        directory: source(),
        tag: 'latest',
        ...options,
      }),
    list(name) {
      const path = `${layout().root}/${name}`;
      return existsSync(path) ? readdirSync(path) : [];
    },
    blobPath: (digest) => `${source()}/blobs/sha256/${digest.slice('sha256:'.length)}`,
  };
}
