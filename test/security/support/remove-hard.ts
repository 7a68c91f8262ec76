/** Removes a folder that a hostile program has written to: immutable files, paths of any depth. */
import { execFileSync, spawnSync } from 'node:child_process';

export function removeHard(folder: string): void {
  // Filesystems without such flags refuse, and need it not.
  spawnSync('chattr', ['-R', '-i', folder], { stdio: 'ignore' });
  execFileSync('rm', ['-rf', '--one-file-system', folder]);
}
