/**
 * Opens the files of a task that another process runs, or that was kept after its end. Only for a separate process: a task can block the first
 * steps into its files with a filesystem that it serves itself.
 */
import { closeSync, constants, lstatSync, openSync, statfsSync, statSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { mountedLayerDir } from '../../core/layout.ts';
import type { LayerSource } from '../../core/mount.ts';
import { detachTarget, mountRootfs } from '../../rootfs/mount-rootfs.ts';
import { mountTargetsOf, planAdded, planRootfs } from '../../rootfs/plan-rootfs.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { holdBuilt } from '../../store/built/hold-built.ts';
import { mountBuilt } from '../../store/built/mount-built.ts';
import { readImage } from '../../store/images/image.ts';
import { mountLayer } from '../../store/layers/mount-layer.ts';
import { isLayerMounted } from '../../store/layers/mounted-layers.ts';
import { entryOf, fdPath, O_PATH } from '../../sys/paths.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd } from '../../sys/system.ts';
import { createUserNamespace } from '../../sys/user-namespace.ts';
import { openCode } from '../add-code.ts';
import { slotIds } from '../admission/slot.ts';
import { findInit } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { findLive } from '../live/require-live.ts';
import type { Budget } from '../outputs/budget.ts';
import type { ContentReader } from '../outputs/content.ts';
import type { Pace } from '../outputs/pace.ts';
import { lockRecord } from '../records/claim-record.ts';
import { readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import {
  ENDED,
  STARTING,
  type TaskProblem,
  toTaskConflict,
  toTaskNotFound,
} from '../records/task-errors.ts';
import { recordedPlaces, type TaskPlaces } from '../records/task-places.ts';

import type { CopyOrder } from './copy-order.ts';

/** The files of a task, without the mounts in them. */
export interface TaskTree {
  readonly root: Fd;
  /** The mount at `/task`, if the task has code. */
  readonly code: Fd | undefined;
  /** Host id of the task's root. */
  readonly idBase: number;
  /** Whether the task has ended since. Until `close`, its open files stay, and so does the disk space of a removed task. */
  hasEnded(): boolean;
  close(): Promise<void>;
}

/** The inputs of a copy in either direction. */
export interface CopyWork {
  readonly order: CopyOrder;
  readonly tree: TaskTree;
  readonly budget: Budget;
  readonly pace: Pace;
  readonly content: ContentReader;
}

const COPY = 'copy files of task';
const CODE_NAME = 'task';
/** See statfs(2). */
const OVERLAYFS_MAGIC = 0x794c_7630;
const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT if the task neither runs nor was kept, _HOST_UNSUPPORTED if it runs in gVisor. */
export async function openTaskTree(
  installation: Installation,
  id: TaskId,
  { mayBeKept }: { readonly mayBeKept: boolean },
): Promise<TaskTree> {
  const record = readRecord(installation.layout, id);
  if (record === undefined) throw toTaskNotFound(COPY, id);
  if (!record.kept) return openRunning(installation, record);
  if (!mayBeKept) throw toEnded(id);
  return await openKept(installation, id);
}

/** The error for a task whose files are gone, or will be soon. */
export const toEnded = (id: TaskId, cause?: unknown): StackshimError =>
  toTaskConflict(COPY, id, {
    ...ENDED,
    cause,
    hint: 'run tasks with --keep to reach their files after their end',
  });

function openRunning(installation: Installation, record: TaskRecord): TaskTree {
  const { cgroups, system } = installation;
  const { id, runtime } = record;
  if (!driverOf(runtime).initIsPid1) {
    const message = `copy files of task ${id}: its files are inside of a gVisor sandbox while it runs`;
    const hint = 'use --output, or run it with --keep and copy after its end';
    throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, { hint, details: { id } });
  }
  const live = findLive(installation, record, false);
  if (live === ENDED) throw toEnded(id);
  if (!('pid' in live)) throw toTaskConflict(COPY, id, live);
  const { pid, places } = live;
  const init = system.openPidfd(pid);
  const opened: Fd[] = [];
  const keep = (fd: Fd) => {
    opened.push(fd);
    return fd;
  };
  const close = () => {
    for (const fd of opened) closeSync(fd);
    system.close(init);
    return Promise.resolve();
  };
  try {
    // The kernel may have reused the pid before the pidfd was opened.
    if (findInit(cgroups, places, runtime) !== pid) throw toEnded(id);
    const root = keep(openSync(`/proc/${pid}/root`, O_PATH | constants.O_DIRECTORY));
    requireOwnFilesystem(id, root);
    const code = record.hasCode ? keep(openSync(entryOf(root, CODE_NAME), FOLDER)) : undefined;
    if (system.hasEnded(init)) throw toEnded(id);
    if (code !== undefined) requireOwnFilesystem(id, code);
    return {
      root,
      code,
      idBase: idBaseOf(record, statSync(fdPath(root)).uid),
      hasEnded: () => system.hasEnded(init),
      close,
    };
  } catch (error) {
    void close();
    const code = errnoCodeOf(error) ?? '';
    if (['ENOENT', 'ESRCH'].includes(code)) throw toEnded(id, error);
    if (!['EACCES', 'ENOTCONN', 'EIO'].includes(code)) throw error;
    throw toTaskConflict(COPY, id, { ...REPLACED, cause: error });
  }
}

/** The kernel keeps processes outside of the task's user namespace out of a filesystem that the task serves itself. */
const REPLACED: TaskProblem = {
  why: 'its first process has another filesystem in the place of its own',
  hint: 'take its files with --output, or run it with --keep and copy after its end',
};

/**
 * Refuses other filesystems than overlays: within its rights, a task may change its root and mount anything, but an overlay is its own or made
 * of its own files. Right after the start, the first process may still have the host's root.
 */
function requireOwnFilesystem(id: TaskId, folder: Fd): void {
  const path = fdPath(folder);
  if (statfsSync(path).type !== OVERLAYFS_MAGIC) throw toTaskConflict(COPY, id, REPLACED);
  const [own, host] = [statSync(path), statSync('/')];
  if (own.dev === host.dev && own.ino === host.ino) throw toTaskConflict(COPY, id, STARTING);
}

/** Host id of the task's root; 0 in the host's user namespace. `owner` is the owner of one of the task's files. */
function idBaseOf({ slot }: TaskRecord, owner: number): number {
  if (slot === undefined) return 0;
  const { base, size } = slotIds(slot);
  return owner >= base && owner < base + size ? base : 0;
}

type StorePlace = Pick<Installation, 'layout' | 'system'>;

/** Mounts the layers of a kept task again. The lock of the task's folder keeps removal and other copies away until `close`. */
export async function openKept(installation: StorePlace, id: TaskId): Promise<TaskTree> {
  const { system, layout } = installation;
  const locked = lockRecord(installation, id, ({ kept }) => kept);
  if (locked === undefined) {
    const why = 'another process is copying from it or removes it';
    throw toTaskConflict(COPY, id, { state: 'kept', why, hint: 'try again later' });
  }
  const { record, lock } = locked;
  const places = recordedPlaces(layout, record);
  const opened: Fd[] = [];
  const close = async () => {
    for (const fd of opened.splice(0)) closeSync(fd);
    for (const target of mountTargetsOf(places, 0)) await detachTarget(system, target);
    closeSync(lock);
  };
  try {
    const idBase = await mountKept(installation, record, places);
    const open = (path: string) => {
      const fd = openSync(path, FOLDER);
      opened.push(fd);
      return fd;
    };
    const root = open(`${places.taskDir}/rootfs`);
    const code = record.hasCode ? open(`${places.taskDir}/code`) : undefined;
    return { root, code, idBase, hasEnded: () => false, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The layers of the task's `/task`, lowest first. */
async function codeLayersOf(
  installation: StorePlace,
  { id, build, codeImage, tenant, hasCode }: TaskRecord,
  codeFile: string,
): Promise<readonly LayerSource[]> {
  if (codeImage !== undefined) {
    const { mountPackage } = await import('../plan-package.ts');
    return mountPackage(installation, { image: readImage(installation.layout, codeImage) });
  }
  if (build === undefined) return hasCode ? [{ kind: 'file', path: codeFile }] : [];
  const held = holdBuilt(installation, build, tenant);
  const parts = held?.record.parts ?? undefined;
  try {
    if (parts === undefined) {
      const why = 'the build below its /task is gone';
      throw toTaskConflict(COPY, id, { state: 'kept', why, hint: 'run the task again' });
    }
    // The record of the kept task protects the build from collection.
    const paths = await mountBuilt({ ...installation, key: build }, parts);
    return paths.map((path) => ({ kind: 'mounted', path }));
  } finally {
    held?.release();
  }
}

async function mountKept(
  { layout, system }: StorePlace,
  record: TaskRecord,
  places: TaskPlaces,
): Promise<number> {
  const { id, slot } = record;
  const { taskDir, scratchDir, codeFile } = places;
  const upper = lstatSync(`${scratchDir}/rootfs/upper`, { throwIfNoEntry: false });
  if (upper === undefined) {
    const why = 'its files are gone';
    throw toTaskConflict(COPY, id, { state: 'kept', why, hint: 'run the task again' });
  }
  // A process that was killed during a copy left its mounts.
  for (const target of mountTargetsOf(places, 0)) await detachTarget(system, target);
  for (const each of ['rootfs', 'code']) {
    // The kernel refuses to use the work directory of a volatile overlay twice.
    await removeTree(`${scratchDir}/${each}/work`);
  }
  const layers = readImage(layout, record.image).layers;
  for (const layer of layers) {
    if (!isLayerMounted(layout, layer)) mountLayer(system, layout, layer);
  }
  const idBase = idBaseOf(record, upper.uid);
  const ids = slot === undefined || idBase === 0 ? undefined : slotIds(slot);
  const owner =
    ids === undefined ? null : { ids, userNamespaceFd: await createUserNamespace(system, ids) };
  try {
    const { mounts } = planRootfs({
      ...{ taskDir, scratchDir, binds: [] },
      layers: layers.map((layer) => ({ kind: 'mounted', path: mountedLayerDir(layout, layer) })),
    });
    const code = await codeLayersOf({ layout, system }, record, codeFile);
    const added = planAdded({ taskDir, scratchDir, code, binds: [], bindsBefore: 0 });
    const plan = { mounts: [...mounts, ...added.mounts] };
    const { closed } = await mountRootfs(system, plan, { owner, openFile: openCode });
    await closed;
  } finally {
    if (owner !== null) closeSync(owner.userNamespaceFd);
  }
  return idBase;
}
