/** Stores what a code package consists of: its layers, and the image that joins them with its settings. */
import { packLayer } from '../../archive/pack-layer.ts';
import { StackshimError } from '../../core/errors.ts';
import type { ImageDigest } from '../../core/ids.ts';
import { layerFile } from '../../core/layout.ts';
import { CODE_LIMITS, CODE_POLICY } from '../../packages/code-policy.ts';
import { readDigestedCode } from '../../packages/pack-code.ts';
import { CODE_LABEL } from '../../spec/package-settings.ts';
import { BUILT_POLICY } from '../../store/built/built-policy.ts';
import type { Image } from '../../store/images/image.ts';
import { importLayer } from '../../store/layers/import-layer.ts';
import {
  checkLayerFile,
  type LayerRecord,
  readLayerRecord,
} from '../../store/layers/layer-record.ts';
import { pinInStore } from '../../store/store-lease.ts';
import type { Installation } from '../../task/installation.ts';
import { storeMadeImage } from '../oci-image/name-content.ts';

export interface CodeToStore {
  /** Of the host, without links. */
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/** Stores the code as a layer. Precondition: the caller holds the store. Throws ERR_STACKSHIM_CODE_INVALID if its digest is another one by now. */
export async function storeCodeLayer(
  { system, layout }: Installation,
  { path, signal }: CodeToStore,
  expected: string,
): Promise<LayerRecord> {
  const reading = { workers: { system, layout }, followLinks: false, signal };
  const { digest, result } = await readDigestedCode(path, reading, (tar) =>
    importLayer(tar, {
      ...{ layout, system, signal, compression: 'none' },
      policy: CODE_POLICY,
      limits: CODE_LIMITS,
    }),
  );
  if (digest === expected) return result.record;
  throw new StackshimError(
    'ERR_STACKSHIM_CODE_INVALID',
    `read code ${path}: changed while it was read`,
    { hint: 'add it again when nobody writes to it', details: { path } },
  );
}

/** Stores what a build step left as a layer. Precondition: the caller holds the store and the build. */
export async function storeUpperLayer(
  { system, layout }: Installation,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<LayerRecord> {
  const policy = BUILT_POLICY;
  const tar = packLayer(folder, { policy, signal });
  const { record } = await importLayer(tar, {
    ...{ layout, system, signal, policy, compression: 'none' },
  });
  return record;
}

export interface PackageImage {
  readonly layers: Pick<Image, 'layers' | 'diffIds'>;
  /** The value of {@link CODE_LABEL}. */
  readonly label: string;
  readonly signal: AbortSignal | undefined;
}

/** Stores the image, under the digest of its content. Precondition: the caller holds the store. Throws ERR_STACKSHIM_LAYER_CORRUPT. */
export async function storePackageImage(
  { system, layout, host }: Installation,
  { layers, label, signal }: PackageImage,
): Promise<Image> {
  for (const id of layers.layers) {
    await pinInStore(layout, id);
    checkLayerFile(layerFile(layout, id), readLayerRecord(layout, id));
  }
  const made: Image = {
    // Decided by its content below.
    digest: '' as ImageDigest,
    layers: layers.layers,
    diffIds: layers.diffIds,
    config: {
      ...{ env: [], entrypoint: [], cmd: [], workingDir: '', user: '' },
      labels: { [CODE_LABEL]: label },
    },
    architecture: host.architecture,
  };
  return await storeMadeImage(layout, made, { system, signal });
}
