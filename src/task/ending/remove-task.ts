/** Removes an ended task: what this process holds for it and everything it may have created, in reverse order. Checks that each is gone. */
import { existsSync } from 'node:fs';
import { CleanupStack } from '../../core/cleanup-stack.ts';
import { messageOf } from '../../core/errors.ts';
import { nextTurn } from '../../core/pause.ts';
import { detachTarget } from '../../rootfs/mount-rootfs.ts';
import { mountTargetsOf } from '../../rootfs/plan-rootfs.ts';
import { removeRuntimeState, runtimeStateExists } from '../../runtime/drive-container.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { isThere } from '../../sys/files.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { removeScratch } from '../disk/scratch-files.ts';
import type { TaskDisk } from '../disk/task-disk.ts';
import type { ContainerPlan } from '../plan-container.ts';
import type { PrepareContext } from '../prepare-container.ts';
import { retireTaskDir } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { type KillContext, killAll, removeCgroup } from './kill-processes.ts';

export interface RemovalRequest {
  readonly places: TaskPlaces;
  readonly bindCount: number;
  readonly runtime: Runtime;
  /** `--keep`: the writable layer and the record stay. */
  readonly keep: boolean;
  /** Given by a process that has the disk open; other processes remove the disk by its names. */
  readonly disk?: TaskDisk | undefined;
  /** Without `disk`: the loop devices in use, by the paths of their backing files. Default: none. */
  readonly loops?: ReadonlyMap<string, string>;
}

/** The outcome of a task's removal. */
export interface Removal {
  /** True only after every kind of resource was checked to be gone. */
  readonly removed: boolean;
  /** Everything that still exists: a path or name each, followed by `: ` and the reason if known. */
  readonly leftovers: readonly string[];
}

export const GONE: Removal = { removed: true, leftovers: [] };

/** Time for the whole removal, even of a million files. Steps that have not ended by then are reported as left over. */
const REMOVAL_DEADLINE_MS = 600_000;

/** Removes the task. Never rejects. A second call finds nothing to do. The record, which names what is left, stays while anything is. */
export async function removeTask(context: KillContext, request: RemovalRequest): Promise<Removal> {
  const { places, keep } = request;
  const failures = await undoSteps(context, request).run({ deadlineMs: REMOVAL_DEADLINE_MS });
  await nextTurn();
  const leftovers: Leftovers = new Map(
    failures.map(({ name, error }) => [name, messageOf(error)] as const),
  );
  noteWhatIsThere(leftovers, `look for what is left of ${places.id}`, () =>
    findLeftovers(context, request),
  );
  if (leftovers.size === 0 && !keep) await removeLast(places, leftovers);
  noteWhatIsThere(leftovers, places.taskDir, () =>
    isThere(places.taskDir) ? [places.taskDir] : [],
  );
  const named = [...leftovers].map(([name, reason]) =>
    reason === undefined ? name : `${name}: ${reason}`,
  );
  return { removed: leftovers.size === 0, leftovers: named };
}

/** Reasons by path or name; undefined: unknown. */
type Leftovers = Map<string, string | undefined>;

/** Adds what `find` finds. A search that fails counts as a leftover. */
function noteWhatIsThere(
  leftovers: Leftovers,
  search: string,
  find: () => readonly string[],
): void {
  try {
    for (const name of find()) leftovers.set(name, leftovers.get(name));
  } catch (error) {
    leftovers.set(search, messageOf(error));
  }
}

async function removeLast(places: TaskPlaces, leftovers: Leftovers): Promise<void> {
  let left = places.taskDir;
  try {
    const retired = retireTaskDir(places);
    if (retired === undefined) return;
    left = retired;
    // Retry once, because nobody else removes it while this process lives.
    await removeTree(retired).catch(() => removeTree(retired));
  } catch (error) {
    leftovers.set(left, messageOf(error));
  }
}

function undoSteps(context: KillContext, request: RemovalRequest): CleanupStack {
  const { system } = context;
  const { places, runtime, keep, disk, loops = new Map() } = request;
  const undo = new CleanupStack();
  undo.defer(places.scratchDir, () => {
    if (keep) return disk?.keep();
    return disk === undefined ? removeScratch(system, places, loops) : disk.remove();
  });
  undo.defer(`cgroup ${places.cgroupsPath}`, () =>
    removeCgroup(context.cgroups, places.cgroupsPath),
  );
  undo.defer(runtimeState(places), () =>
    removeRuntimeState(runtime, places, { logFile: places.logFile }),
  );
  for (const target of mountTargetsOf(places, request.bindCount)) {
    undo.defer(`mount ${target}`, () => detachTarget(system, target));
  }
  undo.defer(`processes of ${places.id}`, () => killAll(context, places.cgroupsPath));
  return undo;
}

const runtimeState = (places: TaskPlaces) => `${places.stateRoot}/${places.id}`;

/** Finds everything that is left except the task's folder, which the caller handles. */
function findLeftovers(
  { cgroups }: KillContext,
  { places, runtime, keep }: RemovalRequest,
): readonly string[] {
  return [
    ...cgroups.existing(places.cgroupsPath),
    ...(runtimeStateExists(runtime, places) ? [runtimeState(places)] : []),
    ...(isThere(places.scratchDir) ? [places.scratchDir] : []),
    ...(!keep && isThere(places.volumeFile) ? [places.volumeFile] : []),
  ];
}

/** What exists of an ended task before its removal. */
export const notRemovedYet = ({ taskDir, scratchDir, volumeFile }: TaskPlaces): Removal => ({
  removed: false,
  leftovers: [taskDir, scratchDir, volumeFile].filter((path) => existsSync(path)),
});

/**
 * Removes a task of this process, and releases its holdings if nothing is left. Never rejects.
 *
 * @param wantsKeep Whether the writable layer and the record stay.
 */
export async function removeOwn(
  { installation, record, holdings }: Pick<PrepareContext, 'installation' | 'record' | 'holdings'>,
  { places, runtime }: ContainerPlan,
  wantsKeep: boolean,
): Promise<Removal> {
  await nextTurn();
  const keep = wantsKeep && record.tryNote({ kept: true });
  const { bindCount } = record.value;
  const disk = holdings.get('disk');
  const removal = await removeTask(installation, { places, bindCount, runtime, keep, disk });
  if (removal.removed || keep) {
    await holdings.release();
  } else {
    // Keep the slot, because what is left may use its ids. Anybody may now reap the task.
    record.tryNote({ disowned: true });
    holdings.close();
  }
  return removal;
}

/** Joins a task's removal with that of its build step's task: leftovers of both count. */
export const joinRemovals = (own: Removal, build: Removal = GONE): Removal => ({
  removed: own.removed && build.removed,
  leftovers: [...own.leftovers, ...build.leftovers],
});
