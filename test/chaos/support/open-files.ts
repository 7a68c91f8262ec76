/** Lists what this process has open, in order; without pipe numbers and without marks of deleted files. */
import { readdirSync, readlinkSync } from 'node:fs';

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
