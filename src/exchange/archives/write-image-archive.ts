/** Writes an image as an OCI archive that also contains docker's `manifest.json`, packing the stored layers. */

import type { FileHandle } from 'node:fs/promises';
import { packLayer } from '../../archive/pack-layer.ts';
import type { ImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { Image } from '../../store/images/image.ts';
import { readLayerRecord } from '../../store/layers/layer-record.ts';
import { mountLayer } from '../../store/layers/mount-layer.ts';
import { rememberPackedLayer, sizeOfPacking } from '../../store/layers/packed-layer.ts';
import { requireSoundLayer } from '../../store/layers/verify-layer.ts';
import type { System } from '../../sys/system.ts';
import type { ImageContent } from '../oci-image/name-content.ts';
import { OCI_TYPES, toDigest, toOciConfig, toOciManifest } from '../oci-image/oci-documents.ts';
import { metered, type ProgressListener } from '../progress.ts';
import { type ArchiveWriter, createArchiveWriter, type WrittenBlob } from './archive-writer.ts';

interface ArchiveContent {
  readonly system: System;
  readonly image: Image;
  /** Name of the image in the archive: `localhost/ruby-3.3:rev-2`. */
  readonly reference: string;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
}

/**
 * Writes to an empty file. The caller closes the file and holds a pin on the image's layers. The same image gives the same bytes. Throws
 * ERR_STACKSHIM_LAYER_CORRUPT and the errors of `packLayer`.
 */
export async function writeImageArchive(
  layout: Layout,
  file: FileHandle,
  content: ArchiveContent,
): Promise<ImageContent> {
  const { image, reference } = content;
  const writer = createArchiveWriter(file);
  const layers = await writeLayers(layout, writer, content);
  // The digest of an uncompressed layer is its DiffID.
  const diffIds = layers.map(({ digest }) => digest);
  const config = await writer.addBlob([Buffer.from(toOciConfig(image, diffIds))]);
  const manifestText = toOciManifest(config, layers);
  const manifest = await writer.addBlob([Buffer.from(manifestText)]);
  await writeIndexes(writer, reference, manifest, [config, ...layers]);
  await writer.end();
  return { digest: toDigest(manifestText), config: config.digest as ImageDigest, diffIds };
}

async function writeLayers(
  layout: Layout,
  writer: ArchiveWriter,
  { image, system, signal, report }: ArchiveContent,
): Promise<WrittenBlob[]> {
  const layers: WrittenBlob[] = [];
  for (const [index, id] of image.layers.entries()) {
    const { sizeBytes } = readLayerRecord(layout, id);
    // An opaque root needs no marker: the lowest layer of an image has nothing below it, and no other layer has an opaque root.
    await requireSoundLayer(layout, id, { signal });
    const folder = mountLayer(system, layout, id);
    // The packed size is known in advance only if the layer was packed before.
    const packedBytes = sizeOfPacking(layout, id);
    const totalBytes = packedBytes ?? sizeBytes;
    const place = { layer: index + 1, layers: image.layers.length };
    const tell = (doneBytes: number) =>
      report({ kind: 'layer', ...place, doneBytes, totalBytes, reused: false });
    tell(0);
    const packed = packLayer(folder, { signal });
    const tellSome = (doneBytes: number) => {
      if (packedBytes !== undefined) tell(Math.min(doneBytes, packedBytes - 1));
    };
    const blob = await writer.addBlob(metered(packed, signal, tellSome));
    await rememberPackedLayer(layout, id, blob);
    layers.push(blob);
    tell(totalBytes);
  }
  return layers;
}

/** Podman and skopeo read `index.json`, where the image's name must be complete; docker reads `manifest.json`. */
async function writeIndexes(
  writer: ArchiveWriter,
  reference: string,
  manifest: WrittenBlob,
  [config, ...layers]: readonly [WrittenBlob, ...WrittenBlob[]],
): Promise<void> {
  const annotations = {
    'org.opencontainers.image.ref.name': reference,
    'io.containerd.image.name': reference,
  };
  const manifests = [{ mediaType: OCI_TYPES.manifest, ...manifest, annotations }];
  const index = { schemaVersion: 2, mediaType: OCI_TYPES.index, manifests };
  const toPath = ({ digest }: WrittenBlob) => `blobs/${digest.replace(':', '/')}`;
  const docker = [{ Config: toPath(config), RepoTags: [reference], Layers: layers.map(toPath) }];
  await writer.addFile('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writer.addFile('index.json', JSON.stringify(index));
  await writer.addFile('manifest.json', JSON.stringify(docker));
}
