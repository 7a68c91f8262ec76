/** The folders of cgroups, with any names and depth that a task may have chosen, and the kernel's files in them. */
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { errnoCodeOf, unlessFailed } from '../core/errors.ts';
import { atMost } from '../core/pause.ts';
import { entryPath, fdPath } from '../sys/paths.ts';
import { rmdirAside } from '../sys/remove-tree.ts';

/** ENODEV: the cgroup was removed between open and call. */
const GONE = ['ENOENT', 'ENODEV'] as const;

/** The result of `ask`; undefined if the cgroup or its file does not exist. For cgroups that may disappear at any time. */
export const unlessGone = <T>(ask: () => T): T | undefined => unlessFailed(ask, GONE);

/** Writes a cgroup's file. False if there is no such file: the cgroup is gone, or the kernel lacks the file. */
export function writeIfThere(file: string, text: string): boolean {
  const written = unlessGone(() => {
    writeFileSync(file, text, { flag: 'r+' });
    return true;
  });
  return written ?? false;
}

/** `FROZEN`, `FREEZING` or `THAWED`: Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst of the kernel. */
export const FREEZER_FILE = 'freezer.state';

/** Holds 1 once the cgroup is told to freeze. */
export const FREEZE_FILE = 'cgroup.freeze';

/** Reads counter files, and remembers which files this kernel lacks. */
export class CounterReader {
  readonly #absent = new Set<string>();

  /** The text of `directory/file`; null if the cgroup lacks the file or is gone. */
  read(directory: string | undefined, file: string): string | null {
    if (directory === undefined || this.#absent.has(file)) return null;
    try {
      return readFileSync(`${directory}/${file}`, 'utf8');
    } catch (error) {
      const code = errnoCodeOf(error);
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
      if (code === 'ENOENT' && existsSync(directory)) this.#absent.add(file);
      return null;
    }
  }

  /** The only number in a file. */
  readNumber(directory: string | undefined, file: string): number | null {
    return parseCount(this.read(directory, file)?.trim());
  }
}

/** A decimal count of at most 64 bits; null for anything else (`max`, a missing value). */
export function parseCount(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : null;
}

/** The number after `key` in a file of `key value` lines; null if there is none. */
export function parseKeyed(text: string | null, key: string): number | null {
  for (const line of text?.split('\n') ?? []) {
    if (line.startsWith(`${key} `)) return parseCount(line.slice(key.length + 1));
  }
  return null;
}

/** Converts a count to another unit; null stays null. */
export function scaleCount(count: number | null, divisor: number): number | null {
  return count === null ? null : count / divisor;
}

export const NS_PER_MS = 1_000_000;
export const US_PER_MS = 1000;

/**
 * The sum over the lines `MAJOR:MINOR Read N` of a blkio file; null without such lines, because then nothing was counted. Since Linux 6.10, the
 * kernel counts a disk only from the first limit for it on; no file shows other disks' transfers.
 */
export function sumV1Devices(text: string | null, operation: string): number | null {
  const lines = (text ?? '').split('\n').map((line) => line.split(' '));
  const counts = lines.filter(([, found]) => found === operation);
  if (counts.length === 0) return null;
  return counts.reduce((sum, [, , count]) => sum + (parseCount(count) ?? 0), 0);
}

/** The sum of `key=N` over the lines `MAJOR:MINOR key=N …` of io.stat. */
export function sumV2Devices(text: string | null, key: string): number | null {
  if (text === null) return null;
  const counts = text.split(/\s+/).filter((word) => word.startsWith(`${key}=`));
  return counts.reduce((sum, word) => sum + (parseCount(word.slice(key.length + 1)) ?? 0), 0);
}

/** Named after TCP, but also charged for UDP sockets. The kernel counts nothing until it is set. */
export const SOCKET_LIMIT_FILE = 'memory.kmem.tcp.limit_in_bytes';

export type V1Controller = 'memory' | 'cpu' | 'cpuacct' | 'pids' | 'blkio' | 'freezer';

/** A cgroup's directory in the hierarchy of a v1 controller; undefined if the host lacks the hierarchy. */
export type DirectoryOf = (controller: V1Controller) => string | undefined;

/** The kernel's PID_MAX_LIMIT. */
const MAX_PID = 4_194_304;

/** Pids of the processes in a cgroup and below. Empty if the cgroup does not exist. */
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
    // The kernel shows a process of another pid namespace as 0; a signal to 0 would go to this process group.
    if (pid !== null && pid > 0 && pid <= MAX_PID) pids.add(pid);
  }
}

/** While the kernel moves a process to another cgroup, each removal blocks a pool thread; the pool has four by default. */
const removing = atMost(2);

/** Removes cgroups; with `descend`, those below first. Resolves to the cgroups that, or whose children, could not be removed. */
export async function removeTrees(
  directories: readonly string[],
  { descend }: { readonly descend: boolean },
): Promise<readonly string[]> {
  const removeTree = async (directory: string): Promise<boolean> => {
    // A task's cgroup usually has no children, so one call is enough.
    const isGone = await rmdirAside(directory).then(() => true, hasGone);
    if (isGone || !descend) return isGone;
    visitCgroupsBelow(directory, { leave: tryRemove });
    return tryRemove(Buffer.from(directory));
  };
  const gone = await Promise.all(directories.map((each) => removing(() => removeTree(each))));
  return directories.filter((_, index) => !gone[index]);
}

function tryRemove(directory: Buffer): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return hasGone(error);
  }
}

/** True if a removal failed because the cgroup is gone; false if processes or children are left. Throws any other error. */
function hasGone(error: unknown): boolean {
  const code = errnoCodeOf(error);
  if (code === 'ENOENT' || code === 'ENODEV') return true;
  if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
  throw error;
}

/** Names of the cgroups directly below, in no order; with `latin1`, their bytes. Empty if the cgroup does not exist. */
export function childNames(directory: string, encoding: 'utf8' | 'latin1' = 'utf8'): string[] {
  const entries = unlessGone(() => readdirSync(directory, { withFileTypes: true, encoding }));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Called for each cgroup, with a path that is valid only during the call. */
interface CgroupVisitor {
  /** Called before the cgroups below. */
  readonly enter?: (directory: Buffer) => void;
  /** Called after the cgroups below. */
  readonly leave?: (directory: Buffer) => void;
}

/**
 * Visits the cgroups below `directory`, which may be nested deeper than a path can name, under names of any bytes. So it goes from folder to
 * folder by descriptor, with two open at a time. Skips cgroups that disappear meanwhile.
 */
function visitCgroupsBelow(directory: string, { enter, leave }: CgroupVisitor): void {
  const children = childNames(directory, 'latin1');
  // Usually there are no children; then listing the folder is enough.
  if (children.length === 0) return;
  const top = unlessGone(() => openSync(directory, DIRECTORY));
  if (top === undefined) return;
  let place = top;
  const pathOf = (name: string) => entryPath(Buffer.from(fdPath(place)), name);
  /** Returns false if the folder has disappeared. */
  const moveTo = (name: string): boolean => {
    const next = unlessGone(() => openSync(pathOf(name), DIRECTORY));
    if (next === undefined) return false;
    closeSync(place);
    place = next;
    return true;
  };
  const names: string[] = [];
  const unvisited = [children];
  try {
    for (;;) {
      const name = unvisited.at(-1)?.pop();
      if (name !== undefined) {
        enter?.(pathOf(name));
        if (!moveTo(name)) continue;
        names.push(name);
        unvisited.push(childNames(fdPath(place), 'latin1'));
        continue;
      }
      const left = names.pop();
      if (left === undefined || !moveTo('..')) return;
      unvisited.pop();
      leave?.(pathOf(left));
    }
  } finally {
    closeSync(place);
  }
}
