/** What this process has open, and the check that it has nothing more open than before. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect } from 'vitest';
import { waitUntil } from '../timing/wait-until.ts';

/** In order; without pipe numbers and without marks of deleted files. */
export const openFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => linkOf(`/proc/self/fd/${fd}`))
    .sort();

function linkOf(path: string): string {
  try {
    return readlinkSync(path).replace(/\[\d+\]$| \(deleted\)$/, '');
  } catch {
    return 'the folder that was read';
  }
}

/**
 * Waits until exactly the files of `before` are open, because some are closed by other threads; otherwise tells each difference.
 * `mayClose`: files that were being closed in `before` need not be open.
 */
export async function expectOpenFiles(
  before: readonly string[],
  { mayClose = false }: { readonly mayClose?: boolean } = {},
): Promise<void> {
  const differences = () => {
    const now = openFiles();
    return [
      ...without(now, before).map((name) => `left open: ${name}`),
      ...(mayClose ? [] : without(before, now).map((name) => `no longer open: ${name}`)),
    ];
  };
  await waitUntil(() => differences().length === 0).catch(() => {
    const lines = differences();
    if (lines.length > 0) expect.fail(`other open files than before:\n  ${lines.join('\n  ')}`);
  });
}

/** The entries of `all` without those of `some`; each entry counts. */
function without(all: readonly string[], some: readonly string[]): readonly string[] {
  const left = [...some];
  return all.filter((name) => {
    const index = left.indexOf(name);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}
