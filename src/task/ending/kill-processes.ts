/** Kills a task's remaining processes, and removes its cgroup. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { listTreeProcesses } from '../../cgroup/cgroup-files.ts';
import { unlessMissing } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { isRunning, nsPidOf } from '../../sys/handled-process.ts';
import { signalProcess } from '../../sys/processes.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlaces } from '../records/task-places.ts';

const { SIGKILL } = constants.signals;
/** Killed processes that still exist after this time are stuck in the kernel. */
const GONE_WITHIN_MS = 20_000;
const POLL_MS = 5;
const LONGEST_PAUSE_MS = 100;
const STUCK_AFTER_MS = 100;
const FREEZE_AFTER_MS = 250;

/**
 * The host pid of a task's first process; undefined if none runs. This is pid 1 of the task's pid namespace. In the host's
 * pid namespace, and with gVisor, whose sandbox is pid 1 of no namespace, it is the process that the runtime started.
 */
export function findInit(
  cgroups: CgroupDriver,
  { cgroupsPath, pidFile }: Pick<TaskPlaces, 'cgroupsPath' | 'pidFile'>,
  runtime: Runtime | undefined,
): number | undefined {
  const pids = cgroups.listProcesses(cgroupsPath);
  const init = driverOf(runtime).initIsPid1 ? pids.find((pid) => nsPidOf(pid) === 1) : undefined;
  if (init !== undefined || pids.length === 0) return init;
  const made = unlessMissing(() => Number(readFileSync(pidFile, 'utf8')));
  return pids.find((pid) => pid === made);
}

/**
 * Kills every process in the task's cgroup; pid 1 first, so that it does not see the others end. Resolves when none is left; rejects
 * if some do not end. Returns early without an error when `isWanted` returns false: another task may have the cgroup's name by then.
 */
export async function killAll(
  context: KillContext,
  cgroupsPath: string,
  isWanted: () => boolean = () => true,
): Promise<void> {
  const killAgain = beginKilling(context, cgroupsPath);
  const endsAt = performance.now() + GONE_WITHIN_MS;
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const left = await killAgain();
    if (left.length === 0 || !isWanted()) return;
    if (performance.now() > endsAt) {
      throw new Error(`kill processes of ${cgroupsPath}: pids ${left.join(', ')} did not end`);
    }
    await pause(pauseMs);
    if (!isWanted()) return;
  }
}

export type KillContext = Pick<Installation, 'cgroups' | 'system'>;

/** Kills every running process of a cgroup; resolves to their pids. */
export type KillAgain = () => Promise<readonly number[]>;

/** Returns a function that kills a cgroup's processes. Each further call tries harder to kill those that are left. */
export function beginKilling(context: KillContext, cgroupsPath: string): KillAgain {
  const begunAt = performance.now();
  return async () => {
    const { cgroups } = context;
    const left = cgroups.listProcesses(cgroupsPath).filter(isRunning);
    if (left.length === 0) return left;
    const sinceMs = performance.now() - begunAt;
    const init = cgroups.version === 1 ? left.find((pid) => nsPidOf(pid) === 1) : undefined;
    if (init !== undefined) {
      signalEach([init, ...left]);
      // On cgroup v1, the killed processes of a paused task die only when they run again.
      cgroups.thaw(cgroupsPath);
    }
    if (sinceMs > STUCK_AFTER_MS) {
      const { releaseFromFuse } = await import('./release-from-fuse.ts');
      await releaseFromFuse(context, cgroupsPath, left);
    }
    // Freezing takes longer, but stops processes that fork faster than they can be listed.
    if (init === undefined || sinceMs > FREEZE_AFTER_MS) {
      await cgroups.killProcesses(cgroupsPath);
    }
    return left;
  };
}

const signalEach = (pids: readonly number[]) => {
  for (const pid of pids) signalProcess(pid, SIGKILL);
};

/** Sends KILL to every process that the cgroup lists now. The task's removal kills those that this misses. */
export const signalAll = (cgroups: CgroupDriver, cgroupsPath: string): void =>
  signalEach(cgroups.listProcesses(cgroupsPath));

/**
 * Removes a task's cgroup from every hierarchy. Kills the processes that keep it busy: a killed runtime
 * may have put a process into only some of the hierarchies. Rejects if a cgroup folder cannot be removed.
 */
export async function removeCgroup(cgroups: CgroupDriver, cgroupsPath: string): Promise<void> {
  const endsAt = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const left = await cgroups.remove(cgroupsPath);
    if (left.length === 0) return;
    for (const pid of left.flatMap(listTreeProcesses)) signalProcess(pid, SIGKILL);
    if (performance.now() > endsAt) {
      throw new Error(`remove cgroup ${left.join(', ')}: still in use`);
    }
    await pause(POLL_MS);
  }
}
