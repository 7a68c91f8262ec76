/** Whether this process's cgroup lets it have no more processes. */
import { readFileSync } from 'node:fs';

/**
 * True when the kernel has refused a process to the cgroup that this one lies in. A runtime that can start no thread says nothing of
 * why it ends: this tells.
 */
export function hasReachedProcessLimit(): boolean {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trimEnd().split('\n');
  return lines.some((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== '' && !controllers.split(',').includes('pids')) return false;
    return wasRefused(`/sys/fs/cgroup/${controllers}${path}/pids.events`);
  });
}

/** `max N`: how often. */
function wasRefused(eventsFile: string): boolean {
  try {
    return /^max [1-9]/m.test(readFileSync(eventsFile, 'utf8'));
  } catch {
    // The root cgroup has no such file, and neither has one without the controller.
    return false;
  }
}
