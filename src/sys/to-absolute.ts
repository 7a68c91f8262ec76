/** Makes relative paths absolute, for callers that need the path itself and not only what it leads to. */
import { statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { StackshimError } from '../core/errors.ts';

/**
 * Returns an absolute path unchanged and puts the working directory before a relative one. Throws ERR_STACKSHIM_INPUT_NOT_FOUND if the
 * working directory has no path: it was removed, or is outside of what this process sees.
 */
export const toAbsolute = (path: string): string =>
  isAbsolute(path) ? path : `${workingDirectory(path)}/${path}`;

/** An engine may return a path that it stored earlier, so check that this path leads to the directory where the kernel resolves relative paths. */
function workingDirectory(path: string): string {
  let cause: unknown;
  try {
    const known = process.cwd();
    const [there, here] = [statSync(known), statSync('.')];
    if (there.dev === here.dev && there.ino === here.ino) return known;
  } catch (error) {
    cause = error;
  }
  throw new StackshimError(
    'ERR_STACKSHIM_INPUT_NOT_FOUND',
    `find ${path}: the working directory no longer exists, or has no path`,
    { hint: 'give absolute paths, or change to another directory', details: { path }, cause },
  );
}
