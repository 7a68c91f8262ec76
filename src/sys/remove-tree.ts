/** Removes entries, and folders with everything in them, however deep or large, without blocking the event loop for long. */
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
 * The kernel may delay rmdir(2) and unlink(2) for milliseconds on former mount points and in cgroups. On a thread of the pool they do not
 * block the event loop. The executable runs one task and has nothing else to do, so there the pool only costs time.
 */
const hasPool = ffi.callOnPool !== undefined;

type Removal = (path: PathLike, done: (error: NodeJS.ErrnoException | null) => void) => void;

/** Does not use `node:fs/promises`, because loading it takes the executable 0.3 ms in every task. */
const aside =
  (onPool: Removal, atOnce: (path: PathLike) => void) =>
  async (path: PathLike): Promise<void> => {
    if (!hasPool) return atOnce(path);
    await new Promise<void>((resolve, reject) => {
      onPool(path, (error) => (error ? reject(error) : resolve()));
    });
  };

export const rmdirAside = aside(rmdir, rmdirSync);
export const unlinkAside = aside(unlink, unlinkSync);

/** Removing this many entries takes less time than starting a program that removes them. */
const FEW_ENTRIES = 64;
/**
 * A synchronous removal takes 0.4 ms in all, 1.0 ms through the thread pool. But a disk that is informed of each freed block takes 1 ms per
 * entry: after this time the pool takes over.
 */
const AT_ONCE_MS = 1;

/**
 * Removes the folder `path` with everything in it, however deep or large, without blocking the event loop for long; a second call does
 * nothing. The content may be a stranger's: names may be any bytes, links are removed and not followed, and other mounts are not entered.
 * Rejects if an entry cannot be removed.
 */
export async function removeTree(path: string): Promise<void> {
  const budget: Budget = { left: FEW_ENTRIES, atOnceUntil: performance.now() + AT_ONCE_MS };
  try {
    if (await removeSmallTree(Buffer.from(path), budget)) return;
  } catch {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    // Somebody else may be removing the folder, too. If not, the program fails as well, and names the entry.
  }
  await removeByProgram(path);
}

interface Budget {
  /** How many more entries may be removed. */
  left: number;
  /** The device of the top folder. */
  device?: number;
  /** Until then, entries are removed synchronously; later, on the pool where there is one. */
  readonly atOnceUntil: number;
}

/**
 * Returns false if the budget was too small, or if another filesystem or a link is in the way; part of the tree may be gone by then. Needs
 * one descriptor, however deep the tree is.
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
    else await unlinkAside(inside);
  }
  if (atOnce()) rmdirSync(path);
  else await rmdirAside(path);
  return true;
}

/** The entries of a folder; undefined if there are more than the budget allows. */
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
 * Removes the tree by rm(1), which walks by descriptor. The removal functions of the engines use whole paths: for folders 10,000 levels deep
 * they need minutes of processor time, and then fail at the kernel's maximum path length.
 */
async function removeByProgram(path: string): Promise<void> {
  const { exitCode, output } = await runProgram({
    path: '/bin/rm',
    args: ['-rf', '--one-file-system', '--', path],
    env: PLAIN_ENVIRONMENT,
  });
  // Its first message is enough.
  if (exitCode !== 0) throw new Error(output.split('\n')[0] || `rm ended with ${exitCode}`);
}
