/** Imports an image from an OCI layout into the root folder: makes missing layers as EROFS files, then writes the image file. */
import type { LayerId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { type Image, STACK_LABELS } from '../../store/images/image.ts';
import { addImageNames, toLayerLists, writeImage } from '../../store/images/store-image.ts';
import { importLayer } from '../../store/layers/import-layer.ts';
import { findLayerByDiffId, type LayerRecord } from '../../store/layers/layer-record.ts';
import { proveBlob, rememberBlob } from '../../store/layers/prove-blob.ts';
import { readVerifiedRecord } from '../../store/layers/verify-layer.ts';
import { pinInStore } from '../../store/store-lease.ts';
import type { System } from '../../sys/system.ts';
import { abortable } from '../abortable.ts';
import { metered, type ProgressListener, toReporter } from '../progress.ts';
import { storeMadeImage } from './name-content.ts';
import { openLayoutRoot, toInvalid } from './oci-blobs.ts';
import { type OciImage, type OciLayer, readOciLayout } from './read-oci-layout.ts';

interface ImportImageOptions {
  readonly system: System;
  /** The image's base: its layers are used as stored. */
  readonly base?: Image | undefined;
  /** Whether the image was built here: its digest is then its content digest. */
  readonly isBuilt?: boolean;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportOciLayoutOptions extends ImportImageOptions {
  readonly directory: string;
  /** Absent if the layout contains a single image. */
  readonly tag?: string;
}

/**
 * Stores an image and all its layers. A stored layer is checked against its digest and made again if damaged. The image gets a stored layer only
 * after the image's own blob was read and proved to be that layer. An interrupted call leaves intact layers that nothing refers to yet. Changes no
 * stack. To make a revision of the image, take a lease on the store (`holdStore`) before this call: found and stored names are pinned in the lease.
 *
 * Throws ERR_STACKSHIM_IMAGE_INVALID, ERR_STACKSHIM_LAYER_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_BUILD_ABORTED.
 */
export async function importOciLayout(
  layout: Layout,
  options: ImportOciLayoutOptions,
): Promise<Image> {
  return await abortable(`import ${options.directory}`, options.signal, async () => {
    const root = await openLayoutRoot(options.directory);
    return await importImage(layout, await readOciLayout(root, options.tag), options);
  });
}

/** Like {@link importOciLayout}, for an image that was already read. */
export async function importImage(
  layout: Layout,
  source: OciImage,
  options: ImportImageOptions,
): Promise<Image> {
  const image = toImage(source, await importLayers(layout, source, options));
  const { system, isBuilt } = options;
  // A builder's documents contain the build time; the content digest is the same on every machine.
  if (isBuilt) return await storeMadeImage(layout, image, options);
  await pinInStore(layout, image.digest);
  await writeImage(layout, image);
  await addImageNames(layout, image.digest, { system, others: source.otherDigests });
  return image;
}

function toImage(source: OciImage, records: readonly LayerRecord[]): Image {
  // An opaque root hides all lower layers. Leaving them out has the same effect, and every overlay can mount the rest.
  const opaque = records.findLastIndex((record) => record.opaqueRoot);
  const layers = records.map((record, index) => ({
    id: record.id,
    // Not the record's DiffID: another tar may have given the same layer.
    diffId: source.layers[index]?.diffId ?? record.diffId,
  }));
  const { digest, config, architecture } = source;
  return { digest, ...toLayerLists(layers.slice(Math.max(0, opaque))), config, architecture };
}

async function importLayers(
  layout: Layout,
  source: OciImage,
  options: ImportImageOptions,
): Promise<LayerRecord[]> {
  const report = toReporter(options.onProgress);
  const mtimeCeiling = parseEpoch(source.config.labels[STACK_LABELS.epoch]);
  const { base, system, signal } = options;
  const known = new Map(base?.layers.map((id, index) => [base.diffIds[index], id] as const));
  const records: LayerRecord[] = [];
  const proven = new Set<string>();
  for (const [index, layer] of source.layers.entries()) {
    const tell = (doneBytes: number, reused: boolean) => {
      const position = { layer: index + 1, layers: source.layers.length };
      report({ kind: 'layer', ...position, doneBytes, totalBytes: layer.size, reused });
    };
    const id = known.get(layer.diffId) ?? findLayerByDiffId(layout, layer.diffId, mtimeCeiling)?.id;
    if (id !== undefined) await pinInStore(layout, id);
    // Reading a layer costs less than making it.
    const stored = id === undefined ? undefined : await readVerifiedRecord(layout, id, { signal });
    const importing = { system, source, layer, mtimeCeiling, signal, tell };
    const key = `${layer.digest} ${layer.diffId} ${layer.size}`;
    if (stored !== undefined && !proven.has(key)) await proveOne(layout, stored.id, importing);
    if (stored !== undefined) tell(layer.size, true);
    const record = stored ?? (await importOne(layout, importing));
    proven.add(key);
    if (stored === undefined && record.droppedDevices > 0) {
      const text = `layer ${index + 1}: device nodes left out, ${record.droppedDevices} of them`;
      report({ kind: 'warning', step: 'import', text });
    }
    records.push(record);
  }
  return records;
}

interface LayerToImport {
  readonly system: System;
  readonly source: OciImage;
  readonly layer: OciLayer;
  readonly mtimeCeiling: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly tell: (doneBytes: number, reused: boolean) => void;
}

/** Proves that the image brings the blob: knowing the DiffID of a stored layer must not be enough to get its content. */
async function proveOne(
  layout: Layout,
  id: LayerId,
  { system, source, layer, signal }: LayerToImport,
): Promise<void> {
  const blob = await source.openLayer(layer);
  const chunks = metered(blob.chunks(), signal, () => undefined);
  try {
    await proveBlob(chunks, layer, { layout, system, id, signal });
  } finally {
    await blob.close();
  }
}

async function importOne(
  layout: Layout,
  { system, source, layer, mtimeCeiling, signal, tell }: LayerToImport,
): Promise<LayerRecord> {
  const blob = await source.openLayer(layer);
  const chunks = metered(blob.chunks(), signal, (doneBytes) => tell(doneBytes, false));
  try {
    const imported = await importLayer(chunks, {
      layout,
      system,
      compression: layer.compression,
      expectedDiffId: layer.diffId,
      expectedDigest: layer.digest,
      expectedSize: layer.size,
      mtimeCeiling,
      signal,
    });
    await rememberBlob(layout, imported.record.id, layer);
    return imported.record;
  } finally {
    await blob.close();
  }
}

/** Parses seconds since 1970 from an image's label. Throws ERR_STACKSHIM_IMAGE_INVALID. */
export function parseEpoch(label: string | undefined): number | undefined {
  if (label === undefined) return undefined;
  if (/^[0-9]{1,11}$/.test(label)) return Number(label);
  const shown = JSON.stringify(label.slice(0, 200));
  throw toInvalid(`read label ${STACK_LABELS.epoch}: ${shown} is not seconds since 1970`);
}
