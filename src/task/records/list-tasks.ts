/** Lists the tasks of this installation, from their records. */
import type { ErrorJson } from '../../core/errors.ts';
import type { StackName, TaskId, TenantName } from '../../core/ids.ts';
import { isThere } from '../../sys/files.ts';
import { findInit } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { isOrphaned } from './claim-record.ts';
import { eachRecord, listTaskIds, readRecord } from './read-record.ts';
import type { TaskExit, TaskRecord } from './record.ts';
import { recordedPlaces } from './task-places.ts';

/**
 * The state of a task. `starting`: its command has not begun. `paused`: its processes are stopped until `unpause`. `orphaned`:
 * its owner is dead or could not remove it, so `stackshim reap` removes it. `kept`: it has ended and its writable layer stays.
 */
export type TaskState = 'starting' | 'running' | 'paused' | 'removing' | 'kept' | 'orphaned';

/** One task, described by its record and its processes. */
export interface ListedTask {
  readonly id: TaskId;
  readonly stack: StackName;
  readonly revision: number;
  readonly state: TaskState;
  /** Host pid of the task's pid 1; null if there is none. */
  readonly pid: number | null;
  readonly ownerPid: number;
  /** Null if the task has no tenant. */
  readonly tenant: TenantName | null;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** How the command ended; absent until then. */
  readonly exit?: TaskExit;
}

/** The result of {@link listTasks}. */
export interface TaskList {
  readonly tasks: readonly ListedTask[];
  /** Errors of unreadable records. */
  readonly corrupt: readonly ErrorJson[];
}

/** The installation's tasks, oldest first. Synchronously reads each task's record and cgroup. Unreadable records are listed, not thrown. */
export function listTasks(installation: Installation): TaskList {
  const { layout } = installation;
  const tasks: ListedTask[] = [];
  const errors = eachRecord(layout, listTaskIds(layout), (record) => {
    tasks.push(toListed(installation, record));
  });
  tasks.sort((one, other) => one.createdAt.localeCompare(other.createdAt));
  return { tasks, corrupt: errors.map((error) => error.toJSON()) };
}

/** One task, as {@link listTasks} lists it; undefined if there is none. Throws ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. */
export function findTask(installation: Installation, id: TaskId): ListedTask | undefined {
  const record = readRecord(installation.layout, id);
  return record && toListed(installation, record);
}

function toListed(installation: Installation, record: TaskRecord): ListedTask {
  const { id, stack, revision, command, labels, createdAt, owner, tenant, exit } = record;
  const places = recordedPlaces(installation.layout, record);
  const pid = findInit(installation.cgroups, places, record.runtime) ?? null;
  const stateOf = (): TaskState => {
    if (record.kept) return 'kept';
    if (isOrphaned(record)) return 'orphaned';
    if (pid === null) return isThere(places.pidFile) ? 'removing' : 'starting';
    // The container exists, but its command has not begun.
    if (!isThere(places.limitFile)) return 'starting';
    return installation.cgroups.isFrozen(places.cgroupsPath) ? 'paused' : 'running';
  };
  return {
    ...{ id, stack, revision, state: stateOf(), pid, ownerPid: owner.pid },
    ...{ tenant: tenant ?? null, command, labels, createdAt },
    ...(exit === undefined ? {} : { exit }),
  };
}
