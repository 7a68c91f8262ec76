/** Lists the processes of a running task, with what each of them lets others know in time. */
import { StackshimError } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT } from '../../core/host-ids.ts';
import type { TaskId } from '../../core/ids.ts';
import { nextTurn } from '../../core/pause.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { askProcesses, type ProcessAnswers } from '../../sys/ask-processes.ts';
import { nsPidOf, slotOfUser, userOf } from '../../sys/handled-process.ts';
import type { Installation } from '../installation.ts';
import { toPaused, toTaskConflict } from '../records/task-errors.ts';
import { type LiveTask, requireLive } from './require-live.ts';

const LIST = 'list processes of task';

/** One process of a task. Null: the process did not tell in time, or is gone. */
export interface TaskProcess {
  /** On the host; null also for a process of a sandbox, which the host does not have. */
  readonly pid: number | null;
  /** Inside of the task. */
  readonly taskPid: number | null;
  /** Its parent, as `pid`, or as `taskPid` in a sandbox. */
  readonly parentPid: number | null;
  /** Its effective user inside of the task. */
  readonly user: number | null;
  /** One letter of proc_pid_stat(5): `R`, `S`, `Z`, … */
  readonly state: string | null;
  readonly cpuMs: number | null;
  /** The name of its program, or what the process calls itself. */
  readonly name: string | null;
  /** Its arguments, the first of which is its program; cut after 4,096 bytes. The process can change them. */
  readonly command: readonly string[] | null;
}

/** The processes of one task. */
export interface ProcessList {
  readonly id: TaskId;
  /** In the order of their pids. */
  readonly processes: readonly TaskProcess[];
  /** The number of processes, of which at most 4,096 are listed. */
  readonly total: number;
}

const MOST_LISTED = 4_096;
const PROCESSES_PER_TURN = 64;

/** Rejects like `requireLive`; with ERR_STACKSHIM_RUNTIME_FAILED if a sandbox does not answer. */
export async function listProcesses(installation: Installation, id: TaskId): Promise<ProcessList> {
  const task = requireLive(installation, id, { operation: LIST, mayBeOrphaned: true });
  const { listInside } = driverOf(task.record.runtime);
  if (listInside !== undefined) return await listSandbox(installation, task, listInside);
  const pids = [...installation.cgroups.listProcesses(task.places.cgroupsPath)];
  pids.sort((one, other) => one - other);
  const listed = pids.slice(0, MOST_LISTED);
  const answers = await askProcesses(listed);
  const processes: TaskProcess[] = [];
  for (const [index, pid] of listed.entries()) {
    if (index % PROCESSES_PER_TURN === PROCESSES_PER_TURN - 1) await nextTurn();
    processes.push(toProcess(pid, answers[index], task.record.slot));
  }
  return { id, processes, total: pids.length };
}

function toProcess(
  pid: number,
  answers: ProcessAnswers | undefined,
  slot: number | undefined,
): TaskProcess {
  const { stat, args } = answers ?? {};
  const user = userOf(pid);
  // With the host's user namespace, a user of the task is one of the host.
  const isMapped = user !== undefined && slot !== undefined && slotOfUser(user) === slot;
  const firstId = isMapped ? FIRST_SLOT_ID + slot * IDS_PER_SLOT : 0;
  return {
    pid,
    taskPid: nsPidOf(pid) ?? null,
    parentPid: stat?.ppid ?? null,
    user: user === undefined ? null : user - firstId,
    state: stat?.state ?? null,
    cpuMs: stat?.cpuMs ?? null,
    name: stat?.comm ?? null,
    command: args ?? null,
  };
}

type ListInside = NonNullable<ReturnType<typeof driverOf>['listInside']>;

async function listSandbox(
  { cgroups }: Installation,
  { record, places }: LiveTask,
  listInside: ListInside,
): Promise<ProcessList> {
  const { id } = record;
  if (cgroups.isFrozen(places.cgroupsPath)) {
    // Only the sandbox, which is stopped too, knows the task's processes.
    throw toTaskConflict(LIST, id, toPaused(id));
  }
  const found = await listInside(places);
  if (found === undefined) {
    const message = `${LIST} ${id}: its sandbox did not answer`;
    throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', message, { details: { id } });
  }
  const processes = found.slice(0, MOST_LISTED).map(
    ({ pid, parentPid, user, cpuMs, name }): TaskProcess => ({
      ...{ pid: null, taskPid: pid, parentPid, user, state: null, cpuMs, name },
      command: [name],
    }),
  );
  return { id, processes, total: found.length };
}
