/** Lists, checks and removes the folders of one cgroup. */
import { readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { atMost } from '../core/pause.ts';
import { entryPath } from '../sys/paths.ts';
import { rmdirAside } from '../sys/remove-tree.ts';
import { parseCount } from './cgroup-files.ts';
import { unlessGone } from './unless-gone.ts';
import { visitCgroupsBelow } from './visit-cgroups.ts';

/** The kernel's PID_MAX_LIMIT. */
const MAX_PID = 4_194_304;

/** The folders that exist. */
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
    // The kernel shows a process of another pid namespace as 0, and a signal to 0 would go to ourselves.
    if (pid !== null && pid > 0 && pid <= MAX_PID) pids.add(pid);
  }
}

/** While the kernel moves a process to another cgroup, each removal blocks one of the pool's threads, of which there are four by default. */
const removing = atMost(2);

/** Removes cgroups; with `descend`, those below them first. Resolves to the cgroups that could not be removed, or whose children could not. */
export async function removeTrees(
  directories: readonly string[],
  options: { readonly descend: boolean },
): Promise<readonly string[]> {
  const removals = directories.map((directory) => removing(() => removeTree(directory, options)));
  const gone = await Promise.all(removals);
  return directories.filter((_, index) => !gone[index]);
}

async function removeTree(directory: string, options: { readonly descend: boolean }) {
  // Usually a task's cgroup has no children: then one call is enough.
  if (await tryRemoveAside(directory)) return true;
  if (!options.descend) return false;
  visitCgroupsBelow(directory, { leave: tryRemove });
  return tryRemove(Buffer.from(directory));
}

async function tryRemoveAside(directory: string): Promise<boolean> {
  try {
    await rmdirAside(directory);
    return true;
  } catch (error) {
    return hasGone(error);
  }
}

function tryRemove(directory: Buffer): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return hasGone(error);
  }
}

/** True when a removal failed because the cgroup is gone; false when processes or children are left in it. Throws any other error. */
function hasGone(error: unknown): boolean {
  const code = errnoCodeOf(error);
  // ENODEV: another process removed it between the look-up and the call.
  if (code === 'ENOENT' || code === 'ENODEV') return true;
  if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
  throw error;
}

/** Names of the cgroups directly below one. Empty when it does not exist. */
export function childNames(directory: string): readonly string[] {
  const entries = unlessGone(() => readdirSync(directory, { withFileTypes: true }));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
