/** Removes a folder in which a hostile program has written: immutable files, paths of any depth. */
import { execFileSync, spawnSync } from 'node:child_process';

export function removeHard(folder: string): void {
  // Filesystems without such flags fail, and do not need this.
  spawnSync('chattr', ['-R', '-i', folder], { stdio: 'ignore' });
  execFileSync('rm', ['-rf', '--one-file-system', folder]);
}
