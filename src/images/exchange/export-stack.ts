/** A stack as one file for everybody: an OCI archive that also holds docker's `manifest.json`. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../layers/guard-disk.ts';
import { readLayerRecord } from '../../layers/layer-record.ts';
import { mountLayer } from '../../layers/mount-layer.ts';
import { packLayer } from '../../layers/pack-layer.ts';
import { holdStore } from '../../layers/store-lease.ts';
import { parseStackReference } from '../../spec/parse-stack-reference.ts';
import type { Image, PinnedImage } from '../../stacks/image.ts';
import { resolveStack } from '../../stacks/resolve-stack.ts';
import { randomName, syncDirectory } from '../../sys/files.ts';
import { abortable } from '../build-aborted.ts';
import { type ProgressListener, toReporter } from '../build-progress.ts';
import { type ArchiveWriter, createArchiveWriter, type WrittenBlob } from './archive-writer.ts';
import { toDigest, toOciConfig } from './oci-config.ts';
import type { ExchangeOptions } from './publish-image.ts';

export interface ExportStackOptions extends ExchangeOptions {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** Replaced when it exists, in one step. */
  readonly file: string;
}

export interface ExportedStack {
  readonly stack: StackName;
  readonly revision: number;
  /** What the image is called in the archive: `localhost/ruby-3.3:rev-2`. */
  readonly reference: string;
  /** Of the manifest in the archive: another than the stored image's, as its layers are packed anew. */
  readonly digest: ImageDigest;
}

const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/**
 * Writes the archive; on failure there is none, and an older one stays. The same revision gives the same bytes.
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_LAYER_CORRUPT
 * and as `resolveStack`.
 */
export async function exportStack(
  layout: Layout,
  options: ExportStackOptions,
): Promise<ExportedStack> {
  const { system, file, signal } = options;
  return await abortable(`export ${options.stack}`, signal, async () => {
    const lease = await holdStore(layout, system);
    try {
      const pinned = resolveStack(layout, parseStackReference(options.stack, 'stack'));
      for (const id of pinned.image.layers) await lease.pin(id);
      return await guardDisk(`write ${file}`, () =>
        writeWhole(file, (handle) => writeArchive(layout, handle, { ...options, pinned })),
      );
    } finally {
      lease.release();
    }
  });
}

/** Fills a file beside `path` and puts it in its place. */
export async function writeWhole<T>(
  path: string,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const temporary = `${path}.${randomName()}.tmp`;
  const file = await open(temporary, 'wx', 0o644);
  try {
    const result = await fill(file);
    await file.sync();
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

type Exporting = ExportStackOptions & { readonly pinned: PinnedImage };

async function writeArchive(
  layout: Layout,
  file: FileHandle,
  options: Exporting,
): Promise<ExportedStack> {
  const { stack, revision, image } = options.pinned;
  const report = toReporter(options.onProgress);
  report({ kind: 'step', step: 'export', text: `export ${stack} revision ${revision}` });
  const writer = createArchiveWriter(file);
  const layers = await writeLayers(layout, writer, image, { ...options, report });
  const configText = toOciConfig(
    image,
    layers.map(({ digest }) => digest),
  );
  const config = await addDocument(writer, configText);
  const described = layers.map((layer) => ({ mediaType: TYPES.layer, ...layer }));
  const manifestText = JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: { mediaType: TYPES.config, ...config },
    layers: described,
  });
  const manifest = await addDocument(writer, manifestText);
  const reference = `localhost/${stack}:rev-${revision}`;
  await writeIndexes(writer, { reference, config, layers, manifest });
  await writer.end();
  return { stack, revision, reference, digest: toDigest(manifestText) as ImageDigest };
}

async function writeLayers(
  layout: Layout,
  writer: ArchiveWriter,
  image: Image,
  { system, signal, report }: Exporting & { readonly report: ProgressListener },
): Promise<WrittenBlob[]> {
  const layers: WrittenBlob[] = [];
  for (const [index, id] of image.layers.entries()) {
    const { sizeBytes } = readLayerRecord(layout, id);
    // An opaque root needs no word: an image's lowest layer has nothing below, and no other has one.
    const folder = mountLayer(system, layout, id);
    const blob = await writer.addBlob(packLayer(folder, { signal }));
    layers.push(blob);
    const position = { layer: index + 1, layers: image.layers.length };
    const size = { doneBytes: sizeBytes, totalBytes: sizeBytes };
    report({ kind: 'layer', ...position, ...size, reused: false });
  }
  return layers;
}

const addDocument = (writer: ArchiveWriter, text: string): Promise<WrittenBlob> =>
  writer.addBlob(toChunks(Buffer.from(text)));

// biome-ignore lint/suspicious/useAwait: what a blob is read from is asynchronous elsewhere
async function* toChunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

interface ArchiveContents {
  readonly reference: string;
  readonly config: WrittenBlob;
  readonly layers: readonly WrittenBlob[];
  readonly manifest: WrittenBlob;
}

/** Podman and skopeo read `index.json`, whose name of the image must be a full one; docker reads `manifest.json`. */
async function writeIndexes(writer: ArchiveWriter, contents: ArchiveContents): Promise<void> {
  const { reference, config, layers, manifest } = contents;
  const annotations = {
    'org.opencontainers.image.ref.name': reference,
    'io.containerd.image.name': reference,
  };
  const manifests = [{ mediaType: TYPES.manifest, ...manifest, annotations }];
  const index = { schemaVersion: 2, mediaType: TYPES.index, manifests };
  const toPath = ({ digest }: WrittenBlob) => digest.replace(':', '/').replace(/^/, 'blobs/');
  const docker = [{ Config: toPath(config), RepoTags: [reference], Layers: layers.map(toPath) }];
  await writer.addFile('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writer.addFile('index.json', JSON.stringify(index));
  await writer.addFile('manifest.json', JSON.stringify(docker));
}
