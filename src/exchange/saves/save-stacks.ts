/** Saves stacks as their EROFS files and records, signed: the fast way between an operator's own machines. */
import { open } from 'node:fs/promises';
import { encodeFileHeader, TAR_TRAILER } from '../../archive/encode-tar-entry.ts';
import { paddingOf } from '../../archive/parse-tar-header.ts';
import { StackshimError } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import { type Layout, layerFile } from '../../core/layout.ts';
import { parseStackReference } from '../../spec/parse-command.ts';
import type { PinnedImage } from '../../store/images/image.ts';
import { type LayerRecord, requireLayer } from '../../store/layers/layer-record.ts';
import { type StoreLease, withHeldStore } from '../../store/store-lease.ts';
import { FORMAT_VERSION } from '../../store/stored-json.ts';
import { abortable } from '../abortable.ts';
import { readSpan } from '../file-pieces.ts';
import { resolveByContent } from '../oci-image/seek-content.ts';
import { metered, type ProgressListener, toReporter } from '../progress.ts';
import type { ExchangeOptions, PublishedStack } from '../publish-image.ts';
import { INDEX_PATH, type SavedIndex, SIGNATURE_PATH, toLayerPath } from './saved-index.ts';
import { readSigningKey, signIndex } from './sign-index.ts';

export interface SaveStacksOptions extends ExchangeOptions {
  /** Each is `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stacks: readonly string[];
  /** PEM file with the Ed25519 private key to sign with. */
  readonly keyFile: string;
  /** Layers that the other machine has: their files are left out. */
  readonly have?: ReadonlySet<string>;
  /** Receives the bytes of the file, in order. */
  readonly write: (chunks: AsyncIterable<Buffer>) => Promise<void>;
  /** Default: the machine's clock. */
  readonly clock?: () => Date;
}

export interface SavedStacks {
  readonly stacks: readonly PublishedStack[];
  /** The layers whose files were written. */
  readonly layers: readonly LayerId[];
  /** The layers that the other machine has. */
  readonly leftOut: readonly LayerId[];
}

const MODE = 0o444;

/**
 * Writes the stacks' images and every layer of them that is not in `have`. Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND
 * (the key), ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_BUILD_ABORTED, and the errors of `resolveStack` and `write`.
 */
export async function saveStacks(layout: Layout, options: SaveStacksOptions): Promise<SavedStacks> {
  const { stacks, have = new Set<string>(), system, signal, clock = () => new Date() } = options;
  return await abortable(`save ${stacks.join(' ')}`, signal, async () => {
    const key = readSigningKey(options.keyFile);
    return await withHeldStore(layout, system, async (lease) => {
      const pinned: PinnedImage[] = [];
      for (const text of stacks) {
        const reference = parseStackReference(text, 'stack');
        pinned.push(await resolveByContent(layout, reference, { system, signal }));
      }
      requireOnce(pinned);
      const records = await pinLayers(layout, lease, pinned);
      const index = toIndex(pinned, records, clock());
      const written = records.filter(({ id }) => !have.has(id));
      const report = toReporter(options.onProgress);
      report({ kind: 'step', step: 'export', text: `save ${stacks.join(' ')}` });
      const indexBytes = Buffer.from(JSON.stringify(index));
      const signature = Buffer.from(signIndex(indexBytes, key));
      const head = [toEntry(INDEX_PATH, indexBytes), toEntry(SIGNATURE_PATH, signature)];
      await options.write(toChunks(layout, head, written, { report, signal }));
      const leftOut = records.map(({ id }) => id).filter((id) => have.has(id));
      return { stacks: index.stacks, layers: written.map(({ id }) => id), leftOut };
    });
  });
}

function requireOnce(pinned: readonly PinnedImage[]): void {
  const duplicate = pinned.find(
    ({ stack }, at) => pinned.findIndex((one) => one.stack === stack) < at,
  );
  if (duplicate === undefined) return;
  const message = `save ${duplicate.stack}: named twice`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details: { field: 'stack' } });
}

async function pinLayers(
  layout: Layout,
  lease: StoreLease,
  pinned: readonly PinnedImage[],
): Promise<readonly LayerRecord[]> {
  const records: LayerRecord[] = [];
  for (const id of new Set(pinned.flatMap(({ image }) => image.layers))) {
    await lease.pin(id);
    records.push(requireLayer(layout, id));
  }
  return records;
}

function toIndex(
  pinned: readonly PinnedImage[],
  layers: readonly LayerRecord[],
  now: Date,
): SavedIndex {
  const images = new Map(pinned.map(({ image }) => [image.digest, image]));
  return {
    version: 1,
    createdAt: now.toISOString(),
    stacks: pinned.map(({ stack, revision, image }) => ({ stack, revision, image: image.digest })),
    images: [...images.values()].map((image) => ({ version: FORMAT_VERSION, ...image })),
    layers,
  };
}

async function* toChunks(
  layout: Layout,
  head: readonly Buffer[],
  written: readonly LayerRecord[],
  progress: { readonly report: ProgressListener; readonly signal: AbortSignal | undefined },
): AsyncGenerator<Buffer> {
  const { report, signal } = progress;
  yield* head;
  for (const [position, { id, sizeBytes }] of written.entries()) {
    yield encodeFileHeader(toLayerPath(id), sizeBytes, MODE);
    const file = await open(layerFile(layout, id), 'r');
    try {
      const place = { layer: position + 1, layers: written.length, totalBytes: sizeBytes };
      const pieces = readSpan(file, { start: 0, size: sizeBytes }, toCutOff);
      yield* metered(pieces, signal, (doneBytes) =>
        report({ kind: 'layer', ...place, doneBytes, reused: false }),
      );
    } finally {
      await file.close();
    }
    yield Buffer.alloc(paddingOf(sizeBytes));
  }
  yield TAR_TRAILER;
}

/** The header announces the size: a shorter file would corrupt everything that follows. */
const toCutOff = () =>
  new StackshimError(
    'ERR_STACKSHIM_LAYER_CORRUPT',
    'read a layer: its file became shorter while it was read',
  );

function toEntry(path: string, content: Buffer): Buffer {
  const header = encodeFileHeader(path, content.length, MODE);
  return Buffer.concat([header, content, Buffer.alloc(paddingOf(content.length))]);
}
