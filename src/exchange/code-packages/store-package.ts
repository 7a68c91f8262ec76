/** Stores what a code package consists of: its layers, and the image that joins them with its settings. */
import { packLayer } from '../../archive/pack-layer.ts';
import { StackshimError } from '../../core/errors.ts';
import { CODE_LIMITS, CODE_POLICY } from '../../packages/code-policy.ts';
import { readDigestedCode } from '../../packages/pack-code.ts';
import { CODE_LABEL } from '../../spec/package-settings.ts';
import { BUILT_POLICY } from '../../store/built/built-policy.ts';
import type { Image } from '../../store/images/image.ts';
import { importLayer } from '../../store/layers/import-layer.ts';
import { type LayerRecord, requireLayer } from '../../store/layers/layer-record.ts';
import { pinInStore } from '../../store/store-lease.ts';
import type { Installation } from '../../task/installation.ts';
import { storeMadeImage } from '../oci-image/name-content.ts';

/** Stores the code at a path without links as a layer. Precondition: the caller holds the store. Throws ERR_STACKSHIM_CODE_INVALID if its digest is another one by now. */
export async function storeCodeLayer(
  { system, layout }: Installation,
  path: string,
  expected: string,
  signal: AbortSignal | undefined,
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
  const message = `read code ${path}: changed while it was read`;
  const hint = 'add it again when nobody writes to it';
  throw new StackshimError('ERR_STACKSHIM_CODE_INVALID', message, { hint, details: { path } });
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

/** Stores the image, with `label` as its {@link CODE_LABEL}, under the digest of its content. Precondition: the caller holds the store. Throws ERR_STACKSHIM_LAYER_CORRUPT. */
export async function storePackageImage(
  { system, layout, host }: Installation,
  { layers, diffIds }: Pick<Image, 'layers' | 'diffIds'>,
  label: string,
  signal: AbortSignal | undefined,
): Promise<Image> {
  for (const id of layers) {
    await pinInStore(layout, id);
    requireLayer(layout, id);
  }
  const settings = { env: [], entrypoint: [], cmd: [], workingDir: '', user: '' };
  const config = { ...settings, labels: { [CODE_LABEL]: label } };
  const made = { layers, diffIds, config, architecture: host.architecture };
  return await storeMadeImage(layout, made, { system, signal });
}
