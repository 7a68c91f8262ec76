/** Loads saved stacks: checks the signature, stores each missing layer, then makes all stacks current at once. */
import { StackshimError, unlessFailed } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { type Image, readImage } from '../../store/images/image.ts';
import { writeImage } from '../../store/images/store-image.ts';
import { readSoundRecord } from '../../store/layers/layer-record.ts';
import { listRecordedLayers } from '../../store/layers/list-layers.ts';
import { remountLayer } from '../../store/layers/mount-layer.ts';
import { receiveLayer } from '../../store/layers/receive-layer.ts';
import { readVerifiedRecord } from '../../store/layers/verify-layer.ts';
import { resolveStack } from '../../store/stacks/resolve-stack.ts';
import { type StoreLease, withHeldStore } from '../../store/store-lease.ts';
import { readHostFacts } from '../../sys/host-facts.ts';
import type { System } from '../../sys/system.ts';
import { abortable } from '../abortable.ts';
import { metered, type ProgressListener, toReporter } from '../progress.ts';
import { type PublishedStack, type PublishOptions, publishImages } from '../publish-image.ts';
import { rememberSave, requireNewer } from './require-newer.ts';
import {
  INDEX_PATH,
  MAX_INDEX_BYTES,
  MAX_SIGNATURE_BYTES,
  parseSavedIndex,
  type SavedIndex,
  SIGNATURE_PATH,
  toInvalidSave,
  toLayerPath,
} from './saved-index.ts';
import { createSavedReader, type SavedReader } from './saved-reader.ts';
import { verifyIndex } from './sign-index.ts';

export interface LoadStacksOptions extends PublishOptions {
  /** The bytes of the file, in order. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Name of the source, for the stacks' history. */
  readonly name: string;
  /** Also loads stacks that are older than the stored ones or dated in the future. Default false. */
  readonly anyDate?: boolean;
}

export interface LoadedStacks {
  readonly stacks: readonly (PublishedStack & {
    /** `unchanged`: the image was already current. */
    readonly status: 'loaded' | 'unchanged';
  })[];
  /** Newly stored layers. */
  readonly layers: readonly LayerId[];
}

/**
 * Loads every stack of the file. Makes all of them current at once, after each has passed its smoke command. Reads only the index until a trusted
 * key's signature is verified. Skips intact layers that are already stored. Each received and verified layer stays, so after an interruption a
 * second call continues where the first ended.
 *
 * Throws ERR_STACKSHIM_SAVE_UNTRUSTED, ERR_STACKSHIM_SAVE_INVALID, ERR_STACKSHIM_SAVE_OUTDATED, ERR_STACKSHIM_SMOKE_FAILED,
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, and the errors of reading `input`.
 */
export async function loadStacks(
  layout: Layout,
  options: LoadStacksOptions,
): Promise<LoadedStacks> {
  const { system, signal } = options;
  return await abortable(`load ${options.name}`, signal, async () => {
    const reader = createSavedReader(options.input);
    const index = await readIndex(layout, reader);
    const { clock = () => new Date() } = options;
    if (options.anyDate !== true) requireNewer(layout, toChanges(layout, index), clock());
    return await withHeldStore(layout, system, async (lease) => {
      const report = toReporter(options.onProgress);
      report({ kind: 'step', step: 'import', text: `load ${options.name}` });
      const held = await findHeld(layout, lease, index, signal);
      // Keep an intact stored image: this machine may have made different layers for it.
      const images = index.images
        .map(({ version: _, ...image }) => image)
        .filter((image) => !readImageOrNothing(layout, image)?.layers.every((id) => held.has(id)));
      const ids = images.flatMap(({ layers }) => layers);
      const wanted = new Set(ids.filter((id) => !held.has(id)));
      const loading = { system, wanted, report, signal };
      const received = await receiveLayers(layout, reader, index, loading);
      requireReceived(wanted, new Set(received));
      for (const image of images) await writeImage(layout, image);
      const stacks = await publishAll(layout, index, { ...options, report });
      return { stacks, layers: received };
    });
  });
}

/** Ids of the stored layers, which a machine that saves for this one may leave out. */
export const listHeldLayers = (layout: Layout): readonly LayerId[] =>
  listRecordedLayers(layout).filter((id) => readSoundRecord(layout, id) !== undefined);

async function readIndex(layout: Layout, reader: SavedReader): Promise<SavedIndex> {
  const expectEntry = async (path: string, maxBytes: number): Promise<Buffer> => {
    const entry = await reader.next();
    if (entry?.path !== path) throw toInvalidSave(`${path} is missing`);
    return await reader.whole(maxBytes);
  };
  const bytes = await expectEntry(INDEX_PATH, MAX_INDEX_BYTES);
  await verifyIndex(layout, bytes, await expectEntry(SIGNATURE_PATH, MAX_SIGNATURE_BYTES));
  const index = parseSavedIndex(bytes);
  const { architecture } = readHostFacts();
  const foreign = index.images.find((image) => image.architecture !== architecture);
  if (foreign === undefined) return index;
  const { digest, architecture: other } = foreign;
  throw toInvalidSave(`image ${digest} is for ${other}, not for ${architecture}`);
}

/** Pins all layers of the index, and of its images as stored here; returns the stored, intact ones. */
async function findHeld(
  layout: Layout,
  lease: StoreLease,
  index: SavedIndex,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<LayerId>> {
  const ids = new Set<LayerId>();
  for (const image of index.images) {
    await lease.pin(image.digest);
    const stored = readImageOrNothing(layout, image);
    for (const id of [...(stored?.layers ?? []), ...image.layers]) ids.add(id);
  }
  const held = new Set<LayerId>();
  for (const id of ids) {
    await lease.pin(id);
    if ((await readVerifiedRecord(layout, id, { signal })) !== undefined) held.add(id);
  }
  return held;
}

const readImageOrNothing = (layout: Layout, { digest }: Image): Image | undefined =>
  unlessFailed(() => readImage(layout, digest), ['ERR_STACKSHIM_IMAGE_CORRUPT']);

const SMOKE_HINT =
  'every stack stays as it was; see whether it passes where it was saved, then save it again';

interface Receiving {
  readonly system: System;
  readonly wanted: ReadonlySet<LayerId>;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
}

async function receiveLayers(
  layout: Layout,
  reader: SavedReader,
  index: SavedIndex,
  { system, wanted, report, signal }: Receiving,
): Promise<readonly LayerId[]> {
  const received: LayerId[] = [];
  let last = -1;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    signal?.throwIfAborted();
    const { path, size } = entry;
    const at = index.layers.findIndex(({ id }) => toLayerPath(id) === path);
    const record = index.layers[at];
    if (record === undefined) throw toInvalidSave(`${JSON.stringify(path)} is not in its index`);
    // Accept layers in the index's order and at most once: then the signature bounds what is stored.
    if (at <= last) throw toInvalidSave(`layer ${record.id} occurs twice or out of order`);
    last = at;
    if (size !== record.sizeBytes) {
      throw toInvalidSave(`layer ${record.id} has ${size} bytes instead of ${record.sizeBytes}`);
    }
    const place = { layer: at + 1, layers: index.layers.length, totalBytes: size };
    if (!wanted.has(record.id)) {
      report({ kind: 'layer', ...place, doneBytes: size, reused: true });
      continue;
    }
    const content = metered(reader.content(), signal, (doneBytes) =>
      report({ kind: 'layer', ...place, doneBytes, reused: false }),
    );
    await receiveLayer(layout, record, content);
    remountLayer(system, layout, record.id);
    received.push(record.id);
  }
  return received;
}

function requireReceived(wanted: ReadonlySet<LayerId>, received: ReadonlySet<LayerId>): void {
  const missing = [...wanted].filter((id) => !received.has(id));
  if (missing.length === 0) return;
  const message = `load stacks: ${missing.length} layers are neither stored here nor in the file`;
  throw new StackshimError('ERR_STACKSHIM_SAVE_INVALID', message, {
    hint: 'save the stacks again without --have, or with the list that load --list prints on this machine',
    details: { missing: missing.slice(0, 50) },
  });
}

async function publishAll(
  layout: Layout,
  index: SavedIndex,
  options: LoadStacksOptions & { readonly report: ProgressListener },
): Promise<LoadedStacks['stacks']> {
  const changed = toChanges(layout, index).stacks;
  const { system, clock = () => new Date() } = options;
  // An accepted date in the future must not make later saves look old.
  const savedAt = new Date(Math.min(Date.parse(index.createdAt), clock().getTime())).toISOString();
  const publications = changed.map(({ stack, revision, image }) => {
    const reference = `${options.name}: ${stack}@rev:${revision}`.slice(0, 4096);
    const source = { kind: 'import', reference, savedAt } as const;
    return { stack, image: readImage(layout, image), source };
  });
  const reason = `load ${changed.map(({ stack }) => stack).join(' ')}`.slice(0, 4096);
  const added =
    publications.length === 0
      ? []
      : await publishImages(layout, publications, { ...options, reason, hint: SMOKE_HINT });
  for (const { stack } of index.stacks) await rememberSave(layout, system, { stack, savedAt });
  return index.stacks.map(({ stack, image }) => {
    const revision = added.find((one) => one.stack === stack)?.revision;
    if (revision !== undefined) return { stack, image, revision, status: 'loaded' };
    const current = resolveStack(layout, { name: stack });
    return { stack, image, revision: current.revision, status: 'unchanged' };
  });
}

/** The index with only the stacks whose current image differs. */
const toChanges = (layout: Layout, index: SavedIndex): SavedIndex => ({
  ...index,
  stacks: index.stacks.filter(({ stack: name, image }) => {
    const current = unlessFailed(
      () => resolveStack(layout, { name }),
      ['ERR_STACKSHIM_STACK_NOT_FOUND'],
    );
    return current?.image.digest !== image;
  }),
});
