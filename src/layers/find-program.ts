/** Finds a program of the host the way execvp(3) does, so that one that is missing has its own error. */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';

/** Where root's PATH may not lead but programs of filesystems lie. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * The program's absolute path, by `path` (the caller's PATH) and the system's folders.
 * Throws ERR_STACKSHIM_TOOL_MISSING, which names the Debian package it comes in.
 */
export function findProgram(
  name: string,
  options: { readonly package: string; readonly path: string | undefined },
): string {
  const folders = (options.path ?? '').split(delimiter).filter(isAbsolute);
  for (const folder of [...folders, ...SYSTEM_FOLDERS]) {
    const candidate = join(folder, name);
    if (isExecutable(candidate)) return candidate;
  }
  throw new StackshimError(
    'ERR_STACKSHIM_TOOL_MISSING',
    `find ${name}: not installed (Debian package ${options.package})`,
    {
      hint: `install it: apt-get install ${options.package}`,
      details: { program: name, package: options.package },
    },
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return false;
    throw error;
  }
}
