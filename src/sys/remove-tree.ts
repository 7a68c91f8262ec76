/** Removes entries, and a folder with all that is in it, however deep or large, without blocking the event loop for long. */
import {
  type Dirent,
  lstatSync,
  opendirSync,
  type PathLike,
  rmdir,
  rmdirSync,
  unlink,
  unlinkSync,
} from 'node:fs';
import { ffi } from '#ffi';
import { entryPath } from './paths.ts';
import { runProgram } from './run-program.ts';
import { PLAIN_ENVIRONMENT } from './start-program.ts';

/**
 * The kernel may hold up rmdir(2) and unlink(2) for milliseconds where something was mounted or in cgroups: on a thread of the pool the event
 * loop goes on. The executable has one thread to spare for one task: there a trip to the pool only takes longer.
 */
const hasPool = ffi.callOnPool !== undefined;

type Removal = (path: PathLike, done: (error: NodeJS.ErrnoException | null) => void) => void;

/** Not by `node:fs/promises`: to load that takes the executable 0.3 ms, in every task. */
const onPool = (remove: Removal, path: PathLike): Promise<void> =>
  new Promise((resolve, reject) => {
    remove(path, (error) => (error ? reject(error) : resolve()));
  });

export async function rmdirAside(path: string): Promise<void> {
  if (hasPool) await onPool(rmdir, path);
  else rmdirSync(path);
}

export async function unlinkAside(path: string): Promise<void> {
  if (hasPool) await onPool(unlink, path);
  else unlinkSync(path);
}

/** So few entries take less than the start of a program that removes them. */
const FEW_ENTRIES = 64;
/** What is removed at once takes 0.4 ms, by way of the thread pool 1.0 ms; but a disk that is told of each block that is free takes 1 ms an entry. */
const AT_ONCE_MS = 1;

/**
 * Removes `path`, a folder; a second call does nothing. Its contents may be a stranger's: whatever bytes their names are, links are
 * removed, not followed, and other mounts are not entered. Rejects when an entry would not go.
 */
export async function removeTree(path: string): Promise<void> {
  const budget = {
    left: FEW_ENTRIES,
    device: undefined,
    atOnceUntil: performance.now() + AT_ONCE_MS,
  };
  try {
    if (await removeSmallTree(Buffer.from(path), budget)) return;
  } catch {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    // Somebody else may remove it as well. Else the program fails too, and says at which entry.
  }
  await removeByProgram(path);
}

interface Budget {
  /** Entries. */
  left: number;
  /** What the first folder is on. */
  device: number | undefined;
  /** After that the pool removes entries. */
  readonly atOnceUntil: number;
}

/**
 * False when `budget` did not suffice, or when another filesystem or a link is in the way: part of the tree may be gone by then. One
 * descriptor is enough, however deep it is.
 */
async function removeSmallTree(path: Buffer, budget: Budget): Promise<boolean> {
  const stat = lstatSync(path);
  budget.device ??= stat.dev;
  if (!stat.isDirectory() || stat.dev !== budget.device) return false;
  const entries = readFew(path, budget);
  if (entries === undefined) return false;
  const atOnce = () => performance.now() < budget.atOnceUntil;
  for (const entry of entries) {
    const inside = entryPath(path, entry.name);
    if (entry.isDirectory()) {
      if (!(await removeSmallTree(inside, budget))) return false;
    } else if (atOnce()) unlinkSync(inside);
    else await onPool(unlink, inside);
  }
  if (atOnce()) rmdirSync(path);
  else await onPool(rmdir, path);
  return true;
}

/** Undefined when there are more. */
function readFew(path: Buffer, budget: Budget): readonly Dirent[] | undefined {
  const folder = opendirSync(path, { encoding: 'latin1' });
  try {
    const entries: Dirent[] = [];
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      budget.left -= 1;
      if (budget.left < 0) return undefined;
      entries.push(entry);
    }
    return entries;
  } finally {
    folder.closeSync();
  }
}

/**
 * The engines' own removal names every entry by its whole path: in 10,000 levels of folders that takes minutes of a
 * processor, and then fails at the longest path that the kernel takes. rm(1) walks by descriptor.
 */
async function removeByProgram(path: string): Promise<void> {
  const { exitCode, said } = await runProgram({
    path: '/bin/rm',
    args: ['-rf', '--one-file-system', '--', path],
    env: PLAIN_ENVIRONMENT,
  });
  // The first of its complaints is enough.
  if (exitCode !== 0) throw new Error(said.split('\n')[0] || `rm ended with ${exitCode}`);
}
