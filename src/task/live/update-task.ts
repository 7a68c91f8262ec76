/**
 * Changes limits of a running task. The kernel enforces memory, processors and processes; the owner enforces time, and follows the file that is
 * replaced here (`ending/follow-limits.ts`). A task has one update at a time, because each replaces the whole file.
 */
import { renameSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LiveLimits, LiveUsage } from '../../cgroup/cgroup-driver.ts';
import { errnoCodeOf, StackshimError, toStackshimError, unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import { requireAdmitted } from '../../spec/admit-task-spec.ts';
import { readInput } from '../../spec/field-errors.ts';
import { toLimits } from '../../spec/limits.ts';
import { showBytes } from '../../spec/quantities.ts';
import { waitForLock } from '../../store/with-lock.ts';
import { isThere, toOwnedName } from '../../sys/files.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { type FileLock, takeFileLock } from '../../sys/lock.ts';
import { type Installation, readPolicy } from '../installation.ts';
import { readTimeLimit } from '../records/read-time-limit.ts';
import { type TimeLimit, toStoredTimeLimit } from '../records/record.ts';
import { ENDED, toTaskConflict } from '../records/task-errors.ts';
import { type LiveTask, requireBegun, requireLive } from './require-live.ts';

const UPDATE = 'update task';

/** New limits, in the formats of the task's own fields. Absent limits stay. */
export interface UpdateInput {
  readonly memory?: string | number | undefined;
  readonly cpus?: string | number | undefined;
  readonly pidsLimit?: string | number | undefined;
  /** Wall time from the start of the command, like the task's own `timeout`. */
  readonly timeout?: string | number | undefined;
}

/** What an update did. */
export interface TaskUpdate {
  readonly id: TaskId;
  /** The limits that were set. */
  readonly limits: {
    readonly memoryBytes?: number;
    readonly cpus?: number;
    readonly pids?: number;
    readonly timeoutMs?: number;
  };
  /** Remarks for people about the effect; usually empty. */
  readonly notes: readonly string[];
}

interface Asked extends LiveLimits {
  readonly timeoutMs?: number | undefined;
}

const UPDATABLE = ['memory', 'cpus', 'pidsLimit', 'timeout'] as const;

/** Parses new limits. Throws ERR_STACKSHIM_SPEC_INVALID for an invalid limit, for a field that cannot be updated, and without any limit. */
export function parseUpdate(input: UpdateInput): Asked {
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const unknown = given.find(([field]) => !UPDATABLE.some((known) => known === field));
  if (given.length === 0 || unknown !== undefined) {
    const problem =
      unknown === undefined ? 'no new limit' : `unknown field ${JSON.stringify(unknown[0])}`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `${UPDATE}: ${problem}`, {
      hint: `give one of ${UPDATABLE.join(', ')}`,
      details: { field: unknown?.[0] ?? 'memory' },
    });
  }
  return toLimits(({ field, value }) => {
    const found = Object.hasOwn(input, field) ? Reflect.get(input, field) : undefined;
    return found === undefined ? found : value.parse(readInput(value.read, found, field), field);
  });
}

/**
 * Sets new limits. Rejects with ERR_STACKSHIM_SPEC_DENIED if one is above what the policy, the tenant's terms or the host allow, with
 * ERR_STACKSHIM_HOST_EXHAUSTED for a reserve, like `requireLive`, and with ERR_STACKSHIM_TASK_CONFLICT if the kernel cannot free enough memory.
 * After a rejection, limits before the refused one may be set: memory, then processes, processors, time.
 */
export async function updateTask(
  installation: Installation,
  id: TaskId,
  asked: Asked,
): Promise<TaskUpdate> {
  const task = requireLive(installation, id, { operation: UPDATE, mayBeOrphaned: false });
  await requireBegun(task, UPDATE);
  const { tenant } = task.record;
  const { layout, host, cgroups } = installation;
  const policy = await readPolicy(layout);
  requireAdmitted(withoutUndefined({ ...asked }), tenant, policy, host);
  const live = await cgroups.openLive();
  const lock = await lockLimit(installation, task);
  try {
    const limit = requireTimeLimit(task, asked);
    const before = live.readUsage(task.places.cgroupsPath);
    if (asked.memoryBytes !== undefined) {
      const { requireMemoryReserve } = await import('../admission/require-reserves.ts');
      const more = asked.memoryBytes - (before.memoryLimitBytes ?? 0);
      if (more > 0) requireMemoryReserve(policy.reserves.memoryBytes, more, `${UPDATE} ${id}`);
    }
    // Write the file first, because the owner must learn the new limits: on a full disk, nothing has changed yet.
    const next = await writeNext(task, toChanged(limit, asked));
    const { cpus } = asked;
    const most = cpus === undefined ? limit.cpus : Math.max(cpus, limit.cpus ?? host.cpus);
    const restore = await expectCpus(task, limit, most);
    try {
      await live.setLimits(task.places.cgroupsPath, asked);
      replaceLimit(task, next);
    } catch (error) {
      rmSync(next, { force: true });
      await restore();
      throw toRefusal(error, task.record.id, asked, before);
    }
    const notes = toNotes(asked, before, live.readUsage(task.places.cgroupsPath));
    return { id, limits: withoutUndefined({ ...asked }), notes };
  } finally {
    lock.release();
  }
}

/**
 * Tells the owner of more processors before the kernel grants them. The owner reads the processor time at the earliest moment when it can be
 * used up: if this process died in between, the owner would read it too late. Resolves to a function that restores the stored limit.
 */
async function expectCpus(
  task: LiveTask,
  limit: TimeLimit,
  most: number | undefined,
): Promise<() => Promise<void>> {
  if (most === undefined || most === limit.cpus) return () => Promise.resolve();
  const change = async (to: TimeLimit) => replaceLimit(task, await writeNext(task, to));
  await change({ ...limit, cpus: most });
  // Too many processors in the file do no harm: the owner only looks too soon.
  return () => change(limit).catch(() => undefined);
}

/** The stored limit. Throws ERR_STACKSHIM_TASK_CONFLICT if there is none, or none that can be changed. */
function requireTimeLimit({ places, record }: LiveTask, { timeoutMs }: Asked): TimeLimit {
  const limit = readTimeLimit(places);
  if (limit === undefined) {
    throw toTaskConflict(UPDATE, record.id, { why: 'its time limit was not stored' });
  }
  if (timeoutMs !== undefined && limit.begunAtMs === undefined) {
    const why = 'an earlier version of stackshim started it, which keeps its timeout';
    throw toTaskConflict(UPDATE, record.id, { why });
  }
  return limit;
}

function toChanged(limit: TimeLimit, { memoryBytes, cpus, timeoutMs }: Asked): TimeLimit {
  const { begunAtMs, deadlineMs = Number.POSITIVE_INFINITY } = limit;
  const endsAtMs =
    timeoutMs === undefined || begunAtMs === undefined
      ? limit.endsAtMs
      : Math.min(begunAtMs + timeoutMs, deadlineMs);
  return { ...limit, endsAtMs, ...withoutUndefined({ timeoutMs, memoryBytes, cpus }) };
}

/** How long to wait for another update, for which the kernel may have to free much memory. */
const WAIT_MS = 30_000;

/** Takes the lock for updates of the task, or waits for it. The kernel releases the lock when its holder dies. */
async function lockLimit(
  { layout, system }: Installation,
  { places: { limitFile }, record: { id } }: LiveTask,
): Promise<FileLock> {
  const take = () => {
    try {
      return takeFileLock(system, `${limitFile}.lock`, { wait: false });
    } catch (error) {
      if (errnoCodeOf(error) === 'ENOENT') throw toTaskConflict(UPDATE, id, ENDED);
      throw error;
    }
  };
  const toBusy = () =>
    toTaskConflict(UPDATE, id, { why: 'another update goes on', hint: 'try again later' });
  return await waitForLock(layout, take, { waitMs: WAIT_MS, toBusy });
}

/** Writes the limits to a file with a unique name; returns its path. */
async function writeNext(
  { places: { limitFile }, record: { id } }: LiveTask,
  limit: TimeLimit,
): Promise<string> {
  const next = `${limitFile}.${toOwnedName()}.next`;
  try {
    await guardDisk(`${UPDATE} ${id}`, () =>
      writeFile(next, toStoredTimeLimit(limit), { mode: 0o600 }),
    );
    return next;
  } catch (error) {
    rmSync(next, { force: true });
    throw isThere(dirname(next)) ? error : toTaskConflict(UPDATE, id, ENDED);
  }
}

/** Replaces the file atomically: readers never see half of it, and the owner notices another file. */
function replaceLimit({ places, record }: LiveTask, next: string): void {
  const isReplaced = unlessMissing(() => {
    renameSync(next, places.limitFile);
    return true;
  });
  if (isReplaced === undefined) throw toTaskConflict(UPDATE, record.id, ENDED);
}

function toRefusal(
  error: unknown,
  id: TaskId,
  { memoryBytes }: Asked,
  { memoryBytes: usedBytes }: LiveUsage,
): StackshimError {
  const code = errnoCodeOf(error);
  if (code === 'ENOENT' || code === 'ENODEV') return toTaskConflict(UPDATE, id, ENDED);
  if (code !== 'EBUSY' || memoryBytes === undefined) {
    return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `${UPDATE} ${id}`);
  }
  const used = usedBytes === null ? '' : ` of its ${toMebibytes(usedBytes)}`;
  const why = `memory ${showBytes(memoryBytes)}: the kernel could not free enough${used}, and its limit stays`;
  const hint = 'choose a limit above what it uses: stackshim stats';
  return toTaskConflict(UPDATE, id, { state: 'running', why, hint });
}

const toMebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function toNotes(
  { memoryBytes, pids }: Asked,
  before: LiveUsage,
  after: LiveUsage,
): readonly string[] {
  const notes: string[] = [];
  const used = before.memoryBytes ?? 0;
  if (memoryBytes !== undefined && used > memoryBytes) {
    const now = after.memoryBytes === null ? '' : `: it uses ${toMebibytes(after.memoryBytes)} now`;
    notes.push(`the task used ${toMebibytes(used)} of memory; the kernel freed pages${now}`);
  }
  const killed = (after.oomKills ?? 0) - (before.oomKills ?? 0);
  if (memoryBytes !== undefined && killed > 0) {
    notes.push(`the kernel killed ${killed} of its processes for lack of memory meanwhile`);
  }
  if (pids !== undefined && (after.pids ?? 0) > pids) {
    notes.push(`${after.pids} processes and threads run on; the task can start no more`);
  }
  return notes;
}
