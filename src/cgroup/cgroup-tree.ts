/** Lists, looks for and removes one cgroup's folders. */
import { readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { parseCount } from './cgroup-files.ts';

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
  collectProcesses(directory, pids);
  return [...pids];
}

function collectProcesses(directory: string, pids: Set<number>): void {
  let text: string;
  try {
    text = readFileSync(`${directory}/cgroup.procs`, 'utf8');
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  for (const line of text.split('\n')) {
    const pid = parseCount(line);
    // The kernel shows a process of another pid namespace as 0: to signal that would mean ourselves.
    if (pid !== null && pid > 0 && pid <= MAX_PID) pids.add(pid);
  }
  for (const child of childNames(directory)) collectProcesses(`${directory}/${child}`, pids);
}

/** Removes a cgroup, and with `descend` those below it first. Returns the folders that would not go. */
export function removeTree(
  directory: string,
  options: { readonly descend: boolean },
): readonly string[] {
  // A task's cgroup has no children as a rule: one call is all it takes.
  if (tryRemove(directory)) return [];
  if (!options.descend) return [directory];
  const leftovers: string[] = [];
  for (const child of childNames(directory)) {
    leftovers.push(...removeTree(`${directory}/${child}`, options));
  }
  if (!tryRemove(directory)) leftovers.push(directory);
  return leftovers;
}

/** False when processes or children keep the cgroup. */
function tryRemove(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (isGone(error)) return true;
    const code = errnoCodeOf(error);
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** Names of the cgroups directly below one. Empty when it does not exist. */
export function childNames(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = errnoCodeOf(error);
  return code === 'ENOENT' || code === 'ENODEV';
}
