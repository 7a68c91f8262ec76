/** The installation, for commands that need root: they say so before they touch anything, and act in none that another user controls. */
import { StackshimError } from '../core/errors.ts';
import { type Installation, openInstallation } from '../task/installation.ts';

/**
 * Throws ERR_STACKSHIM_NOT_ROOT that names the operation, and ERR_STACKSHIM_PATH_UNTRUSTED when another user controls a folder of the
 * installation.
 */
export function openAsRoot(operation: string): Installation {
  if (process.geteuid?.() === 0) return openInstallation();
  throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
}
