/** Lists, looks for and removes one cgroup's folders. */
import { readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { entryPath } from '../sys/byte-path.ts';
import { parseCount } from './cgroup-files.ts';
import { unlessGone } from './unless-gone.ts';
import { visitCgroupsBelow } from './visit-cgroups.ts';

/** The kernel's PID_MAX_LIMIT. */
const MAX_PID = 4_194_304;

/** Those of the folders that exist. */
export function existingDirectories(directories: readonly string[]): readonly string[] {
  return directories.filter(
    (directory) => statSync(directory, { throwIfNoEntry: false }) !== undefined,
  );
}

/** Pids of the processes in a cgroup and in those below it. Empty when it does not exist. */
export function listTreeProcesses(directory: string): readonly number[] {
  const pids = new Set<number>();
  collectProcesses(Buffer.from(directory), pids);
  visitCgroupsBelow(directory, { enter: (below) => collectProcesses(below, pids) });
  return [...pids];
}

function collectProcesses(directory: Buffer, pids: Set<number>): void {
  const text = unlessGone(() => readFileSync(entryPath(directory, 'cgroup.procs'), 'utf8'));
  for (const line of text?.split('\n') ?? []) {
    const pid = parseCount(line);
    // The kernel shows a process of another pid namespace as 0: to signal that would mean ourselves.
    if (pid !== null && pid > 0 && pid <= MAX_PID) pids.add(pid);
  }
}

/** Removes a cgroup, and with `descend` those below it first. False when it, or one of them, would not go. */
export function removeTree(directory: string, options: { readonly descend: boolean }): boolean {
  // A task's cgroup has no children as a rule: one call is all it takes.
  if (tryRemove(directory)) return true;
  if (!options.descend) return false;
  visitCgroupsBelow(directory, { leave: tryRemove });
  return tryRemove(directory);
}

/** False when processes or children keep the cgroup. */
function tryRemove(directory: string | Buffer): boolean {
  try {
    unlessGone(() => rmdirSync(directory));
    return true;
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** Names of the cgroups directly below one. Empty when it does not exist. */
export function childNames(directory: string): readonly string[] {
  const entries = unlessGone(() => readdirSync(directory, { withFileTypes: true }));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
