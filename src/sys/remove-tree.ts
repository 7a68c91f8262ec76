/** Removes entries, and folders with all their content, without blocking the event loop for long. */
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
 * On former mount points and in cgroups, the kernel may delay rmdir(2) and unlink(2) for milliseconds, so they run on a pool thread. The
 * executable runs one task and has nothing else to do, so there a pool would only cost time.
 */
const hasPool = ffi.callOnPool !== undefined;

type Removal = (path: PathLike, done: (error: NodeJS.ErrnoException | null) => void) => void;

/** Avoids `node:fs/promises`: loading it costs the executable 0.3 ms in every task. */
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

/** Removing this many entries takes less time than starting a program for it. */
const FEW_ENTRIES = 64;
/**
 * Synchronous removal takes 0.4 ms in all, through the pool 1.0 ms. But a disk that is informed of each freed block takes 1 ms per entry: after
 * this time the pool takes over.
 */
const AT_ONCE_MS = 1;

/**
 * Removes the folder `path` and its content, however deep or large, without blocking the event loop for long. A second call does nothing. Safe
 * for untrusted content: names may be any bytes, links are removed and not followed, other mounts are not entered. Rejects if an entry cannot be
 * removed.
 */
export async function removeTree(path: string): Promise<void> {
  const budget: Budget = { left: FEW_ENTRIES, atOnceUntil: performance.now() + AT_ONCE_MS };
  try {
    if (await removeSmallTree(Buffer.from(path), budget)) return;
  } catch {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    // Another process may be removing the folder, too. If not, the program fails as well, and names the entry.
  }
  await removeByProgram(path);
}

interface Budget {
  /** How many more entries may be removed. */
  left: number;
  /** The device of the top folder. */
  device?: number;
  /** Entries are removed synchronously until then; later, on the pool if there is one. */
  readonly atOnceUntil: number;
}

/** False if the budget was too small, or another filesystem or a link is in the way; part of the tree may be gone. Needs one descriptor. */
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
 * Removes the tree by rm(1), which walks by descriptor. The engines' removal functions use whole paths: for folders 10,000 levels deep they take
 * minutes of processor time, then fail at the kernel's maximum path length.
 */
async function removeByProgram(path: string): Promise<void> {
  const { exitCode, output } = await runProgram({
    path: '/bin/rm',
    args: ['-rf', '--one-file-system', '--', path],
    env: PLAIN_ENVIRONMENT,
  });
  // The first message is enough.
  if (exitCode !== 0) throw new Error(output.split('\n')[0] || `rm ended with ${exitCode}`);
}
