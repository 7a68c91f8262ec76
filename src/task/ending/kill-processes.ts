/** Kills what a task left running, and removes its cgroup. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { listTreeProcesses } from '../../cgroup/cgroup-tree.ts';
import { errnoCodeOf } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { isAlive, nsPidOf, readProcess, signalProcess } from '../../sys/processes.ts';
import type { TaskPlaces } from '../records/task-places.ts';

const { SIGKILL } = constants.signals;
/** Killed processes that have not gone by then are stuck in the kernel. */
const GONE_WITHIN_MS = 20_000;
const POLL_MS = 5;

/**
 * The first process of a task as the host numbers it, undefined when it does not run: pid 1, or, in the host's pid namespace and
 * with gVisor, whose sandbox is the pid 1 of no namespace, the one that the runtime made.
 */
export function findInit(
  cgroups: CgroupDriver,
  { cgroupsPath, pidFile }: Pick<TaskPlaces, 'cgroupsPath' | 'pidFile'>,
  runtime: Runtime | undefined,
): number | undefined {
  const pids = cgroups.listProcesses(cgroupsPath);
  const init = runtime?.kind === 'runsc' ? undefined : pids.find((pid) => nsPidOf(pid) === 1);
  if (init !== undefined || pids.length === 0) return init;
  const made = readPid(pidFile);
  return pids.find((pid) => pid === made);
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Kills every process in the task's cgroup. On v1 pid 1 alone where there is one: its namespace takes the others with it, at less cost
 * than freezing them. Resolves when none is left but zombies; rejects when some do not go.
 */
export async function killAll(
  { cgroups }: { readonly cgroups: CgroupDriver },
  cgroupsPath: string,
): Promise<void> {
  const endsAt = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const left = cgroups.listProcesses(cgroupsPath).filter(isRunning);
    if (left.length === 0) return;
    const init = cgroups.version === 1 ? left.find((pid) => nsPidOf(pid) === 1) : undefined;
    if (init !== undefined) signalProcess(init, SIGKILL);
    else await cgroups.killProcesses(cgroupsPath);
    if (performance.now() > endsAt) {
      throw new Error(`kill processes of ${cgroupsPath}: ${left.join(', ')} did not end`);
    }
    await pause(POLL_MS);
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
    await pause(POLL_MS);
  }
}

function isRunning(pid: number): boolean {
  const found = readProcess(pid);
  return found !== undefined && isAlive(found);
}
