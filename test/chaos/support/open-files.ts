/** What this process has open, in order; without what tells one pipe from another, nor whether a file still has its name. */
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
