/** Removes a folder with all that is in it, however deep or large, without blocking the event loop for long. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Dirent, lstatSync, opendirSync, rmdirSync, unlinkSync } from 'node:fs';
import { entryPath } from './byte-path.ts';
import { PLAIN_ENVIRONMENT } from './program-environment.ts';
import { started } from './started.ts';

/** Most tasks write next to nothing: so few entries go faster at once (0.4 ms) than by way of the thread pool (1.0 ms). */
const FEW_ENTRIES = 64;

/**
 * Removes `path`, a folder; a second call does nothing. Its contents may be a stranger's: whatever bytes their names are, links are
 * removed, not followed, and other mounts are not entered. Rejects when an entry would not go.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    if (removeSmallTree(Buffer.from(path), { left: FEW_ENTRIES, device: undefined })) return;
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
}

/**
 * False when `budget` did not suffice, or when another filesystem or a link is in the way: part of the tree may be gone by then. One
 * descriptor is enough, however deep it is.
 */
function removeSmallTree(path: Buffer, budget: Budget): boolean {
  const stat = lstatSync(path);
  budget.device ??= stat.dev;
  if (!stat.isDirectory() || stat.dev !== budget.device) return false;
  const entries = readFew(path, budget);
  if (entries === undefined) return false;
  for (const entry of entries) {
    const inside = entryPath(path, entry.name);
    if (!entry.isDirectory()) unlinkSync(inside);
    else if (!removeSmallTree(inside, budget)) return false;
  }
  rmdirSync(path);
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
  const program = await started(
    spawn('/bin/rm', ['-rf', '--one-file-system', '--', path], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: PLAIN_ENVIRONMENT,
    }),
  );
  let said = '';
  program.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < MAX_SAID) said += text;
  });
  const [code] = await once(program, 'close');
  if (code !== 0)
    throw new Error(said.slice(0, MAX_SAID).split('\n')[0] || `rm ended with ${code}`);
}

/** The first of its complaints is enough. */
const MAX_SAID = 4096;
