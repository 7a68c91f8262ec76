/**
 * Waits for stackshim's own helper processes. By design they end a little after what they served: a guard removes the last file of a task
 * before it ends itself.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { KEEPER_WORD } from '../../../src/door/keeper/keeper-order.ts';
import { COPY_WORD } from '../../../src/task/copying/copy-order.ts';
import { waitUntil } from '../timing/wait-until.ts';
import { type HostSnapshot, type ProcessLine, readProcesses } from './host-snapshot.ts';

/** What tells the tests' processes from those of another suite on this machine. */
export interface Ours {
  readonly isOurs: (line: ProcessLine) => boolean;
  /** A helper whose parent is dead may still name one of these folders. */
  readonly roots: readonly string[];
}

/** Resolves when no helper that has started since `before` is left, or after 20 s: the leak check then reports the helper. */
export async function helpersEnded(before: HostSnapshot, { isOurs, roots }: Ours): Promise<void> {
  const isLeft = () =>
    [...readProcesses()].some(
      ([key, line]) =>
        !before.processes.has(key) &&
        isHelper(line) &&
        (isOurs(line) || namesOneOf(line.pid, roots)),
    );
  await waitUntil(() => !isLeft()).catch(() => undefined);
}

/** Their names for the kernel. A task could make a reader of its arguments wait, so the arguments of no other process are read. */
const NAMES: ReadonlySet<string> = new Set([
  'stackshim',
  'node',
  'MainThread',
  'perl',
  'stackshim-guard',
]);

function isHelper({ pid, comm, isContained }: ProcessLine): boolean {
  return !isContained && NAMES.has(comm) && isHelperCommand(wordsOf(pid, 'cmdline'));
}

function isHelperCommand([program = '', word = '', option]: readonly string[]): boolean {
  // The guard of `exec` renames itself once it has started.
  if (program === 'stackshim-guard' || basename(program) === 'perl') return true;
  if (/^(guard|keeper|copy)-process\.[jt]s$/.test(basename(word))) return true;
  return [KEEPER_WORD, COPY_WORD].includes(word) || (word === 'reap' && option === '--wait');
}

function namesOneOf(pid: number, roots: readonly string[]): boolean {
  const words = [...wordsOf(pid, 'cmdline'), ...wordsOf(pid, 'environ')];
  return roots.some((root) => words.some((word) => word.includes(root)));
}

/** None if the process has ended. */
function wordsOf(pid: number, file: 'cmdline' | 'environ'): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
