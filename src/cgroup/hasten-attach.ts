/**
 * Speeds up the runtime's later cgroup move. Before the kernel moves a process to another cgroup, it waits until no processor is in the middle of
 * a fork or exit: a grace period of RCU, 10 to 20 ms on a quiet host, unless another process was moved a moment ago (`cgroup_threadgroup_rwsem`
 * in kernel/cgroup/cgroup.c). After an early request the kernel waits while the task is still being set up, so the runtime's own move is
 * immediate.
 */
import { close, openSync, readFileSync, write } from 'node:fs';

const CGROUP_ROOT = '/sys/fs/cgroup';

/** A task that starts this soon after another needs no early request: the kernel's last wait still counts, and the host is busy. */
const QUIET_MS = 30;

let calledAt = Number.NEGATIVE_INFINITY;

/**
 * Asks the kernel to move this process's first thread to the cgroup that it is already in, and returns at once. Resolves to whether the kernel
 * accepted: false only means that the task starts those milliseconds later. Never rejects. Does nothing (and resolves to false) unless {@link
 * QUIET_MS} have passed since the last call.
 */
export function hastenAttach(): Promise<boolean> {
  const now = performance.now();
  const isQuiet = now - calledAt > QUIET_MS;
  calledAt = now;
  const file = isQuiet ? openOwnThreads() : undefined;
  if (file === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    // Blocks a pool thread while the kernel waits.
    write(file, `${process.pid}`, (failed) => close(file, () => resolve(failed === null)));
  });
}

/**
 * The file that lists the threads of the first thread's cgroup, in the first hierarchy mounted in its usual place. The file that lists processes
 * would also move a thread that an application keeps in another cgroup.
 */
function openOwnThreads(): number | undefined {
  for (const path of ownThreadLists(readOwnCgroups())) {
    try {
      return openSync(path, 'r+');
    } catch {
      // Mounted elsewhere or read-only: try the next hierarchy.
    }
  }
  return undefined;
}

/** Files from the lines `N:CONTROLLERS:/PATH` of cgroups(7). Skips named hierarchies, which do not help, and unreachable paths above the root. */
function ownThreadLists(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([a-z_,]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined || path.startsWith('/..')) return [];
    const folder = path === '/' ? '' : path;
    return controllers === ''
      ? [`${CGROUP_ROOT}${folder}/cgroup.threads`]
      : [`${CGROUP_ROOT}/${controllers}${folder}/tasks`];
  });
}

function readOwnCgroups(): readonly string[] {
  try {
    return readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  } catch {
    return [];
  }
}
