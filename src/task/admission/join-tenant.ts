/**
 * Tenants: their tasks share one cgroup with a weight and a cap, and may be limited in number. A tenant
 * with tasks has a folder below the run folder. Each task holds a shared lock on the folder's `lock`
 * file and, if there is a maximum, one number in the folder. Loaded only for tasks with a tenant.
 */
import { fstatSync, rmSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { tenantCgroup } from '../../cgroup/cgroup-names.ts';
import { errnoCodeOf, StackshimError, unlessMissing } from '../../core/errors.ts';
import { isTenantName, type TaskId, type TenantName } from '../../core/ids.ts';
import { tenantDir, tenantsDir } from '../../core/layout.ts';
import type { TenantTerms } from '../../spec/task-spec.ts';
import { ensureDirectorySync, namesIn } from '../../sys/files.ts';
import { type FileLock, lockExistingFile, takeFileLock } from '../../sys/lock.ts';
import type { HeldNumber } from '../../sys/numbered-locks.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { claimTaskNumber, isHeldByTask } from './slot.ts';

type TenantHost = Pick<Installation, 'system' | 'layout' | 'cgroups'>;

export interface JoinRequest {
  readonly tenant: TenantName;
  readonly terms: TenantTerms;
  readonly task: TaskId;
  /** An abort ends the wait for the tenant's lock. */
  readonly signal?: AbortSignal;
}

export interface TenantSeat {
  /**
   * Gives the seat up; the last seat's release removes the tenant's cgroup. Call it
   * when nothing of the task is left. A second call does nothing. Never rejects.
   */
  release(): Promise<void>;
  /** Closes only this process's descriptors, in place of `release` while something of the task is left. The task counts until a reap. */
  close(): void;
}

/** A process that removes the tenant holds the exclusive lock only briefly, unless that process is stopped meanwhile. */
const REMOVED_WITHIN_MS = 10_000;
const POLL_MS = 1;

/**
 * Counts the task and creates the tenant's cgroup with the policy's current settings. Rejects with
 * ERR_STACKSHIM_TENANT_EXHAUSTED if the tenant runs its maximum of tasks, or uses more than a lowered cap allows.
 */
export async function joinTenant(host: TenantHost, request: JoinRequest): Promise<TenantSeat> {
  const { tenant, terms } = request;
  let lock: FileLock | undefined;
  let number: HeldNumber | undefined;
  const release = async () => {
    number?.release();
    lock?.release();
    try {
      await removeIfIdle(host, tenant);
    } catch {
      // Nothing that counts is left. The tenant's next task or a reap tries again.
    }
  };
  try {
    lock = await lockTenant(host, tenant, request.signal);
    number = claimSeatNumber(host, request);
    await setShare(host, tenant, terms);
  } catch (error) {
    await release();
    throw error;
  }
  let isIn = true;
  return {
    async release() {
      if (!isIn) return;
      isIn = false;
      await release();
    },
    close() {
      if (!isIn) return;
      isIn = false;
      number?.close();
      lock?.release();
    },
  };
}

/** Removes the cgroups and folders of tenants without tasks, for example after their owners died. */
export async function removeIdleTenants(host: TenantHost): Promise<void> {
  for (const name of namesIn(tenantsDir(host.layout))) {
    if (isTenantName(name)) await removeIfIdle(host, name);
  }
}

function claimSeatNumber(
  { system, layout }: TenantHost,
  { tenant, terms, task }: JoinRequest,
): HeldNumber | undefined {
  const { maxTasks } = terms;
  if (maxTasks === undefined) return undefined;
  const folder = tenantDir(layout, tenant);
  const number = claimTaskNumber(system, { folder, count: maxTasks, run: layout.run, task });
  if (number !== undefined) return number;
  const message = `start task of ${tenant}: it already runs ${maxTasks} tasks, the maximum of the policy`;
  const details = { tenant, maxTasks };
  throw new StackshimError('ERR_STACKSHIM_TENANT_EXHAUSTED', message, { details });
}

/** Sets the tenant's share. Repeated for each task: the policy may have changed, or a runtime may have created the cgroup. */
async function setShare(
  { cgroups, layout }: TenantHost,
  tenant: TenantName,
  { weight, cpus, memoryBytes }: TenantTerms,
): Promise<void> {
  try {
    await cgroups.shareGroup(tenantCgroup(layout, tenant), {
      weight,
      cpus: cpus ?? null,
      memoryBytes: memoryBytes ?? null,
    });
  } catch (error) {
    const code = errnoCodeOf(error);
    // cgroup v1 reports these for a cap below the current memory usage, or below the cpu share of a task in the group.
    if (code !== 'EBUSY' && code !== 'EINVAL') throw error;
    const message = `start task of ${tenant}: its running tasks use more than the policy now allows`;
    const more = { cause: error, details: { tenant } };
    throw new StackshimError('ERR_STACKSHIM_TENANT_EXHAUSTED', message, more);
  }
}

/** Takes the tenant's shared lock. Checks that the opened file is still at its path: the tenant's last task may have removed it. */
async function lockTenant(
  { system, layout }: TenantHost,
  tenant: TenantName,
  signal: AbortSignal | undefined,
): Promise<FileLock> {
  const folder = tenantDir(layout, tenant);
  const file = `${folder}/lock`;
  const endsAt = performance.now() + REMOVED_WITHIN_MS;
  for (;;) {
    ensureDirectorySync(folder, 0o700);
    const lock = unlessMissing(() => takeFileLock(system, file, { wait: false, shared: true }));
    let isOurs = false;
    try {
      isOurs = lock !== undefined && isAt(file, lock.fd);
    } finally {
      if (!isOurs) lock?.release();
    }
    if (lock !== undefined && isOurs) return lock;
    if (performance.now() > endsAt) {
      throw new StackshimError('ERR_STACKSHIM_SYSTEM', `lock ${file}: held by another process`);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

const isAt = (file: string, fd: Fd): boolean =>
  statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;

/** Removes the cgroup and the folder of a tenant without tasks. Tasks of dead owners count until they are reaped. */
async function removeIfIdle(
  { system, layout, cgroups }: TenantHost,
  tenant: TenantName,
): Promise<void> {
  const folder = tenantDir(layout, tenant);
  const file = `${folder}/lock`;
  const lock = unlessMissing(() => lockExistingFile(system, file, { wait: false }));
  if (lock === undefined) return;
  try {
    if (!isAt(file, lock.fd)) return;
    const numbers = namesIn(folder).filter((name) => /^\d+$/.test(name));
    if (numbers.some((number) => isHeldByTask(system, `${folder}/${number}`))) return;
    if ((await cgroups.remove(tenantCgroup(layout, tenant))).length > 0) return;
    rmSync(folder, { recursive: true, force: true });
  } finally {
    lock.release();
  }
}
