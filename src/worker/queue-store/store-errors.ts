/** Errors of the two stores. None has the driver's error as its cause: that may hold the arguments of a command, such as a password. */
import { StackshimError } from '../../core/errors.ts';

export const unreachable = (shown: string, reason: string, hint?: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_UNREACHABLE', `open the store ${shown}: ${reason}`, {
    hint,
  });

export const denied = (shown: string, reason: string, hint?: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_DENIED', `open the store ${shown}: ${reason}`, { hint });

export const unsuitable = (shown: string, reason: string, hint: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_UNSUITABLE', `open the store ${shown}: ${reason}`, {
    hint,
  });

export const full = (shown: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_FULL', `use the store ${shown}: its memory is full`);

export const closed = (shown: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_CLOSED', `use the store ${shown}: it was closed`);
