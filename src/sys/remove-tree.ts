/** Removes a folder with all that is in it, however deep or large, without blocking the event loop. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';

/**
 * Removes `path`; a second call does nothing. Links are removed, not followed. Rejects with the error of the first
 * entry that would not go.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    // Node names every entry by its whole path, which the kernel bounds at 4,096 bytes; rm(1) walks by descriptor.
    if (errnoCodeOf(error) !== 'ENAMETOOLONG') throw error;
    const program = spawn('/bin/rm', ['-rf', '--one-file-system', '--', path], { stdio: 'ignore' });
    const [code] = await once(program, 'exit');
    if (code !== 0) throw error;
  }
}
