/** Finds the running task for a further command, and checks whether the command may be executed. */
import { existsSync, statSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { runtimeCopiesDir } from '../../core/layout.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { copyFileOf } from '../../runtime/runtime-version.ts';
import { requireAllowedExec } from '../../spec/policy.ts';
import { requireTrustedPath } from '../../sys/trusted-path.ts';
import { findInit } from '../ending/kill-processes.ts';
import { type Installation, readPolicy } from '../installation.ts';
import { isOrphaned, isWaiting } from '../records/claim-record.ts';
import { readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import {
  ENDED,
  ORPHANED,
  STARTING,
  type TaskProblem,
  toPaused,
  toTaskConflict,
  toTaskNotFound,
} from '../records/task-errors.ts';
import { recordedPlaces, type TaskPlaces } from '../records/task-places.ts';

/** The beginning of error messages. */
export const EXECUTE = 'execute in task';

export interface ExecTarget {
  readonly record: TaskRecord;
  readonly places: TaskPlaces;
  readonly runtime: Runtime;
}

/** Throws like `readRecord`, ERR_STACKSHIM_TASK_NOT_FOUND, _RUNTIME_NOT_FOUND, _TASK_CONFLICT (`details.state`) if by its record it does not run. */
export function findExecTarget(installation: Installation, id: TaskId): ExecTarget {
  const { layout } = installation;
  const record = readRecord(layout, id);
  if (record === undefined) throw toTaskNotFound(EXECUTE, id);
  const places = recordedPlaces(layout, record);
  const problem = problemOfRecord(places, record);
  if (problem !== undefined) throw toTaskConflict(EXECUTE, id, problem);
  return { record, places, runtime: toRuntime(installation, record) };
}

/** Rejects with ERR_STACKSHIM_TASK_CONFLICT if the task does not run or is paused, _SPEC_DENIED if the policy forbids exec, and like `readPolicy`. */
export async function requireReady(
  installation: Installation,
  { record, places }: ExecTarget,
): Promise<void> {
  const problem = problemOfTask(installation, places, record);
  if (problem !== undefined) throw toTaskConflict(EXECUTE, record.id, problem);
  const { allow } = await readPolicy(installation.layout);
  requireAllowedExec(allow, record.origin);
}

const PREPARED: TaskProblem = {
  state: 'prepared',
  why: 'its container is prepared and waits for a command',
  hint: 'give it its command first',
};

/** Why nothing can be executed in the task, according to its record. */
function problemOfRecord(places: TaskPlaces, record: TaskRecord): TaskProblem | undefined {
  if (record.kept || record.exit !== undefined) return ENDED;
  return isWaiting(places, record) ? PREPARED : undefined;
}

/** Why nothing can be executed in the task, according to its owner and its own processes. */
function problemOfTask(
  { cgroups }: Installation,
  places: TaskPlaces,
  record: TaskRecord,
): TaskProblem | undefined {
  if (isOrphaned(record)) return ORPHANED;
  if (!existsSync(places.limitFile)) return STARTING;
  if (findInit(cgroups, places, record.runtime) === undefined) return ENDED;
  return cgroups.isFrozen(places.cgroupsPath) ? toPaused(record.id) : undefined;
}

/** The state of the task, if it explains why a command could not be started. */
export function findProblem(
  installation: Installation,
  { record, places }: Pick<ExecTarget, 'record' | 'places'>,
): TaskProblem | undefined {
  const found = readRecord(installation.layout, record.id);
  // Another task may have the same id by now.
  if (found === undefined || found.createdAt !== record.createdAt) return ENDED;
  return problemOfRecord(places, found) ?? problemOfTask(installation, places, found);
}

/** The task's runtime, from its copy in huge pages if there is one. */
function toRuntime({ layout }: Installation, { runtime }: TaskRecord): Runtime {
  requireTrustedPath(runtime.path, 'use runtime');
  const stats = statSync(runtime.path, { throwIfNoEntry: false });
  if (stats === undefined) {
    const message = `find runtime ${runtime.path}: no executable file`;
    const details = { runtime: runtime.path };
    throw new StackshimError('ERR_STACKSHIM_RUNTIME_NOT_FOUND', message, { details });
  }
  return { ...runtime, copy: copyFileOf(runtimeCopiesDir(layout), stats) };
}
