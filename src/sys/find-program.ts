/** Finds programs of the host; a missing program has its own error. */
import { accessSync, constants } from 'node:fs';
import { StackshimError, unlessMissing } from '../core/errors.ts';
import { SYSTEM_FOLDERS } from './start-program.ts';
import { requireTrustedPath } from './trusted-path.ts';

/**
 * The program's absolute path in the system's folders; the caller's PATH is ignored. Throws ERR_STACKSHIM_TOOL_MISSING, which
 * names its Debian package, and ERR_STACKSHIM_PATH_UNTRUSTED for a program that another user could have changed.
 */
export function findProgram(
  name: string,
  options: { readonly package: string; readonly folders?: readonly string[] },
): string {
  const { package: debianPackage, folders = SYSTEM_FOLDERS } = options;
  for (const folder of folders) {
    const candidate = `${folder}/${name}`;
    if (!isExecutable(candidate)) continue;
    requireTrustedPath(candidate, 'use program');
    return candidate;
  }
  const message = `find ${name}: not installed (Debian package ${debianPackage})`;
  throw new StackshimError('ERR_STACKSHIM_TOOL_MISSING', message, {
    hint: `install the package: apt-get install ${debianPackage}`,
    details: { program: name, package: debianPackage },
  });
}

const isExecutable = (path: string): boolean =>
  unlessMissing(() => {
    accessSync(path, constants.X_OK);
    return true;
  }, ['ENOENT', 'EACCES', 'ENOTDIR']) ?? false;
