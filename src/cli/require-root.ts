/** Commands that need root say so before they touch anything, and act in no installation that another user controls. */
import { StackshimError } from '../core/errors.ts';
import { openInstallation } from '../task/installation.ts';

/**
 * Throws ERR_STACKSHIM_NOT_ROOT that names the operation, and ERR_STACKSHIM_PATH_UNTRUSTED when another user controls a folder of the
 * installation.
 */
export function requireRoot(operation: string): void {
  if (process.geteuid?.() !== 0) {
    throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
  }
  openInstallation();
}
