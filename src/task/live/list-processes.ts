/** Lists the processes of a running task, with what could be read about each of them in time. */
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

/** One process of a task. A field is null if it could not be read in time, or if the process is gone. */
export interface TaskProcess {
  /** Pid on the host; null also in a sandbox, whose processes are not processes of the host. */
  readonly pid: number | null;
  /** Pid inside the task. */
  readonly taskPid: number | null;
  /** The parent's `pid`, or its `taskPid` in a sandbox. */
  readonly parentPid: number | null;
  /** Effective user id inside the task. */
  readonly user: number | null;
  /** One letter of proc_pid_stat(5): `R`, `S`, `Z`, … */
  readonly state: string | null;
  readonly cpuMs: number | null;
  /** The program's name, or the name that the process gave itself. */
  readonly name: string | null;
  /** The arguments, the program first; cut after 4,096 bytes. The process can change them. */
  readonly command: readonly string[] | null;
}

/** The processes of one task. */
export interface ProcessList {
  readonly id: TaskId;
  /** In order of pid. */
  readonly processes: readonly TaskProcess[];
  /** The number of processes, of which at most 4,096 are listed. */
  readonly total: number;
}

const MOST_LISTED = 4_096;
const PROCESSES_PER_TURN = 64;

/** Rejects like `requireLive`, and with ERR_STACKSHIM_RUNTIME_FAILED if a sandbox does not answer. */
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
  // In the host's user namespace, the task's user ids are those of the host.
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
    // Only the sandbox knows the task's processes, and it is frozen, too.
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
