/** Finds programs of the host, with an error of its own for a missing one. */
import { accessSync, constants } from 'node:fs';
import { StackshimError, unlessFailed } from '../core/errors.ts';
import { SYSTEM_FOLDERS } from './start-program.ts';
import { requireTrustedPath } from './trusted-path.ts';

/**
 * The absolute path of a program in the system's folders; ignores the caller's PATH. Throws ERR_STACKSHIM_TOOL_MISSING, which names the Debian
 * package, and ERR_STACKSHIM_PATH_UNTRUSTED if another user could have changed the program.
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
  unlessFailed(() => {
    accessSync(path, constants.X_OK);
    return true;
  }, ['ENOENT', 'EACCES', 'ENOTDIR']) ?? false;
