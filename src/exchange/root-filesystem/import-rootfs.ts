/** Stores a root filesystem as an image of one layer, named by its content: the same tree and settings give the same digest. */
import { startTar } from '../../archive/start-tar.ts';
import type { TarEntry } from '../../archive/tar-entry.ts';
import { StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { type Image, type ImageConfig, STACK_LABELS } from '../../store/images/image.ts';
import { importLayer } from '../../store/layers/import-layer.ts';
import type { LayerRecord } from '../../store/layers/layer-record.ts';
import { readHostFacts } from '../../sys/host-facts.ts';
import type { System } from '../../sys/system.ts';
import { readPieces } from '../file-pieces.ts';
import { parseEpoch } from '../oci-image/import-oci-layout.ts';
import { storeMadeImage } from '../oci-image/name-content.ts';
import { metered, type ProgressListener } from '../progress.ts';
import {
  ROOTFS_POLICY,
  type RootfsSource,
  requireRootfs,
  type SourcePlace,
} from './recognise-source.ts';
import { collectTopNames, type TopNames } from './top-names.ts';

interface ImportRootfsOptions {
  readonly system: System;
  readonly place: SourcePlace;
  readonly config: ImageConfig;
  readonly report: ProgressListener;
  readonly signal?: AbortSignal | undefined;
}

const OTHERS_MAY_ENTER = 0o001;
const MODE_OF_LINKS = 0o777;

/**
 * Stores the layer and the image. Changes no stack. Precondition: the caller holds a lease on the store. The caller closes `source`. Throws
 * ERR_STACKSHIM_IMAGE_INVALID, ERR_STACKSHIM_LAYER_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM.
 */
export async function importRootfs(
  layout: Layout,
  source: RootfsSource,
  options: ImportRootfsOptions,
): Promise<Image> {
  const { id, diffId } = await storeLayer(layout, source, options);
  const { config } = options;
  const { architecture } = readHostFacts();
  const made = { layers: [id], diffIds: [diffId], config, architecture };
  return await storeMadeImage(layout, made, options);
}

async function storeLayer(
  layout: Layout,
  source: RootfsSource,
  { system, place, config, report, signal }: ImportRootfsOptions,
): Promise<LayerRecord> {
  const names = collectTopNames();
  const warn = (text: string) => report({ kind: 'warning', step: 'import', text });
  const totalBytes = source.tar?.sizeBytes ?? 0;
  const tell = (doneBytes: number) => {
    // The last report comes when the layer is stored.
    if (doneBytes >= totalBytes) return;
    report({ kind: 'layer', layer: 1, layers: 1, doneBytes, totalBytes, reused: false });
  };
  const bytes =
    source.tar === undefined
      ? packFolder(source, signal)
      : metered(readPieces(source.file), signal, tell);
  const { record, existed } = await importLayer(bytes, {
    layout,
    system,
    policy: ROOTFS_POLICY,
    compression: source.tar?.compression ?? 'none',
    mtimeCeiling: parseEpoch(config.labels[STACK_LABELS.epoch]),
    adapt: (entry) => adaptEntry(entry, names, warn),
    signal,
  });
  requireRootfs(names, place);
  const { droppedDevices, sizeBytes } = record;
  if (!names.looksLikeLinux()) {
    warn('it has no /usr, /bin or /etc: is its top folder the root of a filesystem?');
  }
  if (droppedDevices > 0) warn(`device nodes left out, ${droppedDevices} of them`);
  const done = { doneBytes: sizeBytes, totalBytes: sizeBytes };
  report({ kind: 'layer', layer: 1, layers: 1, ...done, reused: existed });
  return record;
}

/**
 * Normalises properties that say nothing about the tree but would change its digest: the time of the root folder (when the tree was unpacked), the
 * modes of links, which Linux does not have, and the order of extended attributes.
 */
function adaptEntry(entry: TarEntry, names: TopNames, warn: (text: string) => void): TarEntry {
  names.add(entry.path);
  if (entry.kind === 'symlink') return { ...entry, mode: MODE_OF_LINKS };
  const isRoot = entry.kind === 'directory' && /^[./]*$/.test(entry.path);
  if (!isRoot) return sortXattrs(entry);
  if ((entry.mode & OTHERS_MAY_ENTER) === 0) {
    const mode = entry.mode.toString(8).padStart(4, '0');
    warn(`its root folder has mode ${mode}: in tasks, only its owner can open files`);
  }
  return sortXattrs({ ...entry, mtime: { seconds: 0, nanoseconds: 0 } });
}

const sortXattrs = (entry: TarEntry): TarEntry =>
  entry.xattrs.size < 2
    ? entry
    : { ...entry, xattrs: new Map([...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) };

/**
 * Packs a folder with a separate program: another user may own the folder and make the walk wait for ever. Not even KILL ends the program while the
 * folder's filesystem owes it an answer, so after an abort nobody waits for it.
 */
async function* packFolder(
  { file, name }: RootfsSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const tar = await startTar(`/proc/${process.pid}/fd/${file.fd}`, signal);
  try {
    const chunks: AsyncIterator<Buffer> = tar.stdout[Symbol.asyncIterator]();
    const next = () => unlessAborted(chunks.next(), signal === undefined ? [] : [signal]);
    for (let chunk = await next(); !chunk.done; chunk = await next()) yield chunk.value;
    signal?.throwIfAborted();
    const { failure, stderr } = await tar.exited;
    if (failure === undefined) return;
    const message = `read folder ${name}: tar: ${failure}`;
    throw new StackshimError('ERR_STACKSHIM_LAYER_INVALID', message, {
      hint: 'it may have changed while it was read: try again when nothing writes to it',
      details: { folder: name, stderr },
    });
  } finally {
    tar.killAll();
    tar.keepAlive(false);
  }
}
