/**
 * Before the kernel moves a process from one cgroup to another it waits until no processor is in the midst of a fork or an exit: for a
 * grace period of RCU, 10 to 20 ms of a quiet host, unless somebody has moved one a moment ago (`cgroup_threadgroup_rwsem` in
 * kernel/cgroup/cgroup.c). Asked early, it waits while the task is still being set up, and the runtime's own move is done at once.
 */
import { close, openSync, readFileSync, write } from 'node:fs';

const CGROUP_ROOT = '/sys/fs/cgroup';

/** Tasks that are begun so soon after one another are moved by turns: the kernel has no time to forget, and is busy without this. */
const QUIET_MS = 30;

let calledAt = Number.NEGATIVE_INFINITY;

/**
 * Asks for a move of this process's first thread to the cgroup that it is in, which changes nothing, and returns at once. Resolves to
 * whether the kernel took it: false costs a task those milliseconds and nothing else. Never rejects. Does nothing, which is false as
 * well, unless {@link QUIET_MS} have passed since the last call.
 */
export function hastenAttach(): Promise<boolean> {
  const now = performance.now();
  const isQuiet = now - calledAt > QUIET_MS;
  calledAt = now;
  const file = isQuiet ? openOwnThreads() : undefined;
  if (file === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    // On a thread of the pool: it is held up for as long as the kernel waits.
    write(file, `${process.pid}`, (failed) => close(file, () => resolve(failed === null)));
  });
}

/**
 * The list of threads of the cgroup that this process's first one is in, in whichever hierarchy has it in its usual place. Of threads, not
 * of processes: with those, one that an application keeps in a cgroup of its own would be moved.
 */
function openOwnThreads(): number | undefined {
  for (const path of ownThreadLists(readOwnCgroups())) {
    try {
      return openSync(path, 'r+');
    } catch {
      // Mounted elsewhere, or read-only: the next may do.
    }
  }
  return undefined;
}

/** Files of the lines `N:CONTROLLERS:/PATH` of cgroups(7). A named hierarchy has no use, and a path above the root no place, here. */
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
