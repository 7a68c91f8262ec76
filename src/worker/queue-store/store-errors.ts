/** Errors of the two stores. None has the driver's error as its cause, which may contain a command's arguments, such as a password. */
import type { ErrorCode } from '../../core/error-codes.ts';
import { StackshimError } from '../../core/errors.ts';

const notOpened = (code: ErrorCode) => (shown: string, reason: string, hint?: string) =>
  new StackshimError(code, `open the store ${shown}: ${reason}`, { hint });

export const unreachable = notOpened('ERR_STACKSHIM_STORE_UNREACHABLE');
export const denied = notOpened('ERR_STACKSHIM_STORE_DENIED');
export const unsuitable = notOpened('ERR_STACKSHIM_STORE_UNSUITABLE');
export const notMigrated = notOpened('ERR_STACKSHIM_STORE_NOT_MIGRATED');

export const full = (shown: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_FULL', `use the store ${shown}: its memory is full`);

export const closed = (shown: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_CLOSED', `use the store ${shown}: it was closed`);
