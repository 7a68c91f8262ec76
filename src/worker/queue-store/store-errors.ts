/** Errors of the two stores. No message contains a password, and no cause the driver's own error, which may hold one. */
import { messageOf, StackshimError } from '../../core/errors.ts';

/** What a driver's error said. */
export const causeOf = (error: unknown): Error => new Error(messageOf(error));

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

export const closed = (shown: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STORE_CLOSED', `use the store ${shown}: it was closed`);
