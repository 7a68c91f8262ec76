/** Kills what a task left running, and removes its cgroup. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { listTreeProcesses } from '../cgroup/cgroup-tree.ts';
import { isAlive, nsPidOf, readProcess } from '../sys/processes.ts';
import { signalProcess } from './stop-task.ts';

const { SIGKILL } = constants.signals;
/** Killed processes that have not gone by then are stuck in the kernel. */
const GONE_WITHIN_MS = 20_000;
const POLL_MS = 5;

/** Pid 1 of a task as the host numbers it, undefined when none runs. */
export function findInit(cgroups: CgroupDriver, cgroupsPath: string): number | undefined {
  return cgroups.listProcesses(cgroupsPath).find((pid) => nsPidOf(pid) === 1);
}

/**
 * Kills every process in the task's cgroup, pid 1 first: its namespace takes the others with it.
 * Resolves when none is left but zombies; rejects when some do not go.
 */
export async function killAll(
  { cgroups }: { readonly cgroups: CgroupDriver },
  cgroupsPath: string,
): Promise<void> {
  const endsAt = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const left = cgroups.listProcesses(cgroupsPath).filter(isRunning);
    if (left.length === 0) return;
    const init = left.find((pid) => nsPidOf(pid) === 1);
    for (const pid of init === undefined ? left : [init]) signalProcess(pid, SIGKILL);
    if (performance.now() > endsAt) {
      throw new Error(`kill processes of ${cgroupsPath}: ${left.join(', ')} did not end`);
    }
    await delay(POLL_MS);
  }
}

/**
 * Removes a task's cgroup from every hierarchy. A runtime that was killed may have put a process into some of them only:
 * what keeps a folder is killed. Rejects when something does not go.
 */
export async function removeCgroup(
  { cgroups }: { readonly cgroups: CgroupDriver },
  cgroupsPath: string,
): Promise<void> {
  const endsAt = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const left = cgroups.remove(cgroupsPath);
    if (left.length === 0) return;
    for (const pid of left.flatMap(listTreeProcesses)) signalProcess(pid, SIGKILL);
    if (performance.now() > endsAt) throw new Error(`remove ${left.join(', ')}: still in use`);
    await delay(POLL_MS);
  }
}

function isRunning(pid: number): boolean {
  const found = readProcess(pid);
  return found !== undefined && isAlive(found);
}
