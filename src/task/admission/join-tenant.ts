/**
 * Tenants: whose tasks share one cgroup with a weight and a cap, and are so many at most. A tenant is a folder below the run folder
 * while it has tasks: each holds the shared lock of `lock`, and with a maximum one number of the folder's. Loaded only for tasks that
 * have a tenant.
 */
import { closeSync, constants, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoCodeOf, StackshimError, unlessMissing } from '../../core/errors.ts';
import { isTenantName, type TaskId, type TenantName } from '../../core/ids.ts';
import { tenantDir, tenantsDir } from '../../core/layout.ts';
import type { TenantTerms } from '../../spec/task-spec.ts';
import { ensureDirectorySync, namesIn } from '../../sys/files.ts';
import type { HeldNumber } from '../../sys/numbered-locks.ts';
import type { Fd } from '../../sys/system.ts';
import { tenantCgroup } from '../cgroup-parent.ts';
import type { Installation } from '../installation.ts';
import { claimTaskNumber, isHeldByTask } from './claim-task-number.ts';

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

type TenantHost = Pick<Installation, 'system' | 'layout' | 'cgroups'>;

export interface JoinRequest {
  readonly tenant: TenantName;
  readonly terms: TenantTerms;
  readonly task: TaskId;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/** A task's membership. */
export interface TenantSeat {
  /**
   * Nothing of the task is left: it counts no more, and the last one takes the tenant's cgroup with it. A second call does nothing.
   * Never rejects.
   */
  leave(): Promise<void>;
  /** In place of `leave`, while something of the task is left: gives up only what this process has open. It counts until that is reaped. */
  abandon(): void;
}

/** Somebody who removes the tenant holds its lock alone: for a moment, unless that process was stopped in it. */
const REMOVED_WITHIN_MS = 10_000;
const POLL_MS = 1;

const isNumber = (name: string) => /^\d+$/.test(name);

/**
 * Makes the tenant's cgroup with what the policy gives it now, and counts the task in.
 * Rejects with ERR_STACKSHIM_TENANT_EXHAUSTED when the tenant has its maximum of tasks, or uses more than a cap that was lowered.
 */
export async function joinTenant(host: TenantHost, request: JoinRequest): Promise<TenantSeat> {
  const { tenant, terms } = request;
  let lock: Fd | undefined;
  let number: HeldNumber | undefined;
  const unlock = () => {
    if (lock !== undefined) closeSync(lock);
  };
  const leave = async () => {
    number?.release();
    unlock();
    try {
      await removeIfIdle(host, tenant);
    } catch {
      // The tenant's next task tries again, or a reap: it has nothing left that counts.
    }
  };
  try {
    lock = await lockTenant(host, tenant, request.signal);
    number = claimPlace(host, request);
    await setShare(host, tenant, terms);
  } catch (error) {
    await leave();
    throw error;
  }
  let isIn = true;
  return {
    async leave() {
      if (!isIn) return;
      isIn = false;
      await leave();
    },
    abandon() {
      if (!isIn) return;
      isIn = false;
      number?.abandon();
      unlock();
    },
  };
}

/** Removes what tenants without tasks left, as dead owners do. */
export async function removeIdleTenants(host: TenantHost): Promise<void> {
  for (const name of namesIn(tenantsDir(host.layout))) {
    if (isTenantName(name)) await removeIfIdle(host, name);
  }
}

function claimPlace(
  { system, layout }: TenantHost,
  { tenant, terms, task }: JoinRequest,
): HeldNumber | undefined {
  const { maxTasks } = terms;
  if (maxTasks === undefined) return undefined;
  const folder = tenantDir(layout, tenant);
  const number = claimTaskNumber(system, { folder, count: maxTasks, run: layout.run, task });
  if (number !== undefined) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_TENANT_EXHAUSTED',
    `start task of ${tenant}: it already runs ${maxTasks} tasks, the maximum of the policy`,
    { details: { tenant, maxTasks } },
  );
}

/** Written anew for each task: the policy may have changed, or the cgroup have been made by a runtime. */
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
    // What v1 says of a cap below what is in use (memory), or below what a task of the group was given (cpu).
    if (code !== 'EBUSY' && code !== 'EINVAL') throw error;
    throw new StackshimError(
      'ERR_STACKSHIM_TENANT_EXHAUSTED',
      `start task of ${tenant}: its running tasks use more than the policy now allows`,
      { cause: error, details: { tenant } },
    );
  }
}

/** Holds the tenant's shared lock, on the file that is there: the last task of a moment ago may have taken the one we opened. */
async function lockTenant(
  { system, layout }: TenantHost,
  tenant: TenantName,
  signal: AbortSignal | undefined,
): Promise<Fd> {
  const folder = tenantDir(layout, tenant);
  const file = `${folder}/lock`;
  const endsAt = performance.now() + REMOVED_WITHIN_MS;
  for (;;) {
    ensureDirectorySync(folder, 0o700);
    const fd = unlessMissing(() => openSync(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
    if (fd === undefined) continue;
    let isOurs = false;
    try {
      isOurs = system.lockFile(fd, { wait: false, shared: true }) && isAt(file, fd);
    } finally {
      if (!isOurs) closeSync(fd);
    }
    if (isOurs) return fd;
    if (performance.now() > endsAt) {
      throw new StackshimError('ERR_STACKSHIM_SYSTEM', `lock ${file}: held by another process`);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

function isAt(file: string, fd: Fd): boolean {
  return statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
}

/** Takes the cgroup and the folder of a tenant that nobody is in. Tasks of dead owners count until they are reaped. */
async function removeIfIdle(
  { system, layout, cgroups }: TenantHost,
  tenant: TenantName,
): Promise<void> {
  const folder = tenantDir(layout, tenant);
  const file = `${folder}/lock`;
  const lock = unlessMissing(() => openSync(file, O_RDWR | O_NOFOLLOW));
  if (lock === undefined) return;
  try {
    if (!system.lockFile(lock, { wait: false }) || !isAt(file, lock)) return;
    const numbers = namesIn(folder).filter(isNumber);
    if (numbers.some((number) => isHeldByTask(system, `${folder}/${number}`))) return;
    if ((await cgroups.remove(tenantCgroup(layout, tenant))).length > 0) return;
    rmSync(folder, { recursive: true, force: true });
  } finally {
    closeSync(lock);
  }
}
