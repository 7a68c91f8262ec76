/** Relative paths, where the path must be known and not only what it leads to. */
import { statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { StackshimError } from '../core/errors.ts';

/**
 * An absolute path stays as it is; a relative one gets the working directory's path before it. Throws ERR_STACKSHIM_INPUT_NOT_FOUND where that directory
 * has none: it was removed, or lies outside of what this process sees.
 */
export const toAbsolute = (path: string): string =>
  isAbsolute(path) ? path : `${workingDirectory(path)}/${path}`;

/** An engine may know a path from earlier: it counts when it leads to where the kernel begins with relative paths. */
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
    `find ${path}: the working directory does not exist any more, or has no path`,
    { hint: 'give absolute paths, or change to another directory', details: { path }, cause },
  );
}
