/** Commands that need root say so before they touch anything. */
import { StackshimError } from '../core/errors.ts';

/** Throws ERR_STACKSHIM_NOT_ROOT that names the operation. */
export function requireRoot(operation: string): void {
  if (process.geteuid?.() === 0) return;
  throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
}
