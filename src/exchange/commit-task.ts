/** Turns the writable layer of a kept task into a stack's new revision. The layer is cleaned like any imported layer. */
import { lstat } from 'node:fs/promises';
import { packLayer } from '../archive/pack-layer.ts';
import { StackshimError, tolerate } from '../core/errors.ts';
import type { StackName, TaskId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { type Image, readImage, STACK_LABELS } from '../store/images/image.ts';
import { importLayer } from '../store/layers/import-layer.ts';
import type { LayerRecord } from '../store/layers/layer-record.ts';
import type { StoreLease } from '../store/store-lease.ts';
import { withFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import { lockRecord } from '../task/records/claim-record.ts';
import { readRecord } from '../task/records/read-record.ts';
import type { TaskRecord } from '../task/records/record.ts';
import { toTaskNotFound } from '../task/records/task-errors.ts';
import { abortable } from './abortable.ts';
import { holdStoreFor } from './hold-store-for.ts';
import { storeMadeImage } from './oci-image/name-content.ts';
import { type ProgressListener, toReporter } from './progress.ts';
import { type PublishedStack, type PublishOptions, publishImage } from './publish-image.ts';
import { parseSmokeOption } from './smoke.ts';

export interface CommitTaskOptions extends PublishOptions {
  /** A task that was run with `--keep` and has ended. */
  readonly task: TaskId;
  /** May be the stack that the task ran in. */
  readonly stack: StackName;
  /** Smoke command: a JSON array of strings or a line for `/bin/sh -c`. Default: the image's label, otherwise `/bin/true`. */
  readonly smoke?: string | undefined;
  /** Whether the content of `/task` is added, too, for a task with code. */
  readonly code?: boolean | undefined;
}

const IDS_PER_TASK = 65_536;

/**
 * Adds the files that the task wrote outside of `/task` to the task's image, as one more layer; with `code`, what is in `/task` as another one.
 * The task stays as it is. The image's digest
 * is that of its content.
 *
 * Throws ERR_STACKSHIM_TASK_NOT_FOUND, ERR_STACKSHIM_TASK_NOT_KEPT, ERR_STACKSHIM_TASK_CONFLICT (another process copies or removes it), ERR_STACKSHIM_LAYER_INVALID (an entry that no layer may have),
 * ERR_STACKSHIM_SMOKE_FAILED, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export async function commitTask(
  layout: Layout,
  options: CommitTaskOptions,
): Promise<PublishedStack> {
  const { system, task, stack, code = false, signal, clock = () => new Date() } = options;
  const smoke = options.smoke === undefined ? undefined : parseSmokeOption(options.smoke);
  return await abortable(`commit task ${task}`, signal, () => {
    const record = readRecord(layout, task);
    if (record === undefined) throw toTaskNotFound('commit task', task);
    if (!record.kept) throw toNotKept(task, 'its writable layer was not kept');
    return holdStoreFor(layout, system, async (lease) => {
      const report = toReporter(options.onProgress);
      report({ kind: 'step', step: 'import', text: `commit task ${task}` });
      const committing = { system, record, report, signal, now: clock(), code };
      const image = await storeImage(layout, lease, committing);
      const source = { kind: 'import', reference: `task:${task}` } as const;
      const publishing = { ...options, report, reason: `commit ${stack}` };
      return await publishImage(layout, { stack, image, source, smoke }, publishing);
    });
  });
}

const toNotKept = (id: TaskId, reason: string, path?: string) =>
  new StackshimError('ERR_STACKSHIM_TASK_NOT_KEPT', `commit task ${id}: ${reason}`, {
    details: withoutUndefined({ id, path }),
  });

interface Committing {
  readonly system: System;
  readonly record: TaskRecord;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
  readonly now: Date;
  readonly code: boolean;
}

async function storeImage(
  layout: Layout,
  lease: StoreLease,
  committing: Committing,
): Promise<Image> {
  const { record, now } = committing;
  await lease.pin(record.image);
  const base = readImage(layout, record.image);
  for (const id of base.layers) await lease.pin(id);
  const layers = [await storeUpper(layout, committing)];
  if (committing.code && record.hasCode) layers.push(await storeCode(layout, committing));
  return await storeMadeImage(layout, toImage(base, layers, now), committing);
}

async function storeUpper(
  layout: Layout,
  { system, record, report, signal }: Committing,
): Promise<LayerRecord> {
  const upper = `${record.names.scratchDir}/rootfs/upper`;
  const { id, createdAt } = record;
  // Keeps removal away: the layer would lack what was removed already.
  const isSame = (found: TaskRecord) => found.kept && found.createdAt === createdAt;
  const locked = lockRecord({ layout, system }, id, isSame);
  if (locked === undefined) {
    const message = `commit task ${id}: another process is working on it, or has removed it`;
    const hint = 'run stackshim ps to see its state';
    throw new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', message, { hint, details: { id } });
  }
  return await withFd(locked.lock, async () => {
    // The task's root user owns the folder: the first id of its slot, or 0 if the task used the host's user namespace.
    const idBase = await ownerOf(upper, id);
    const tar = packLayer(upper, { idBase, idCount: IDS_PER_TASK, signal });
    return await storeLayer(layout, tar, { system, report, signal });
  });
}

/** What the task saw at `/task`: its code with all changes, in place of what the image has there. */
async function storeCode(
  layout: Layout,
  { system, record, report, signal }: Committing,
): Promise<LayerRecord> {
  const { openKept } = await import('../task/copying/task-tree.ts');
  const { code, idBase, close } = await openKept({ layout, system }, record.id);
  try {
    const folder = `/proc/${process.pid}/fd/${code}`;
    const tar = packLayer(folder, { idBase, idCount: IDS_PER_TASK, at: 'task', signal });
    return await storeLayer(layout, tar, { system, report, signal });
  } finally {
    await close();
  }
}

async function storeLayer(
  layout: Layout,
  tar: AsyncIterable<Buffer>,
  { system, report, signal }: Pick<Committing, 'system' | 'report' | 'signal'>,
): Promise<LayerRecord> {
  const imported = await importLayer(tar, { layout, system, compression: 'none', signal });
  const { sizeBytes } = imported.record;
  const size = { doneBytes: sizeBytes, totalBytes: sizeBytes };
  report({ kind: 'layer', layer: 1, layers: 1, ...size, reused: imported.existed });
  return imported.record;
}

async function ownerOf(upper: string, id: TaskId): Promise<number> {
  const found = await lstat(upper).catch(tolerate('ENOENT'));
  if (found?.isDirectory()) return found.uid;
  throw toNotKept(id, 'it has no writable layer', upper);
}

function toImage(base: Image, added: readonly LayerRecord[], now: Date): Image {
  const { labels } = base.config;
  const epoch = { [STACK_LABELS.epoch]: String(Math.ceil(now.getTime() / 1000)) };
  const hasEpoch = labels[STACK_LABELS.epoch] !== undefined;
  return {
    ...base,
    layers: [...base.layers, ...added.map(({ id }) => id)],
    diffIds: [...base.diffIds, ...added.map(({ diffId }) => diffId)],
    config: { ...base.config, labels: hasEpoch ? { ...labels, ...epoch } : labels },
  };
}
