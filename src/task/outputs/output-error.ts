/** The error of an output that could not be written. */
import { reasonOf, StackshimError, toStackshimError } from '../../core/errors.ts';
import { DestinationFailed, Stopped } from './left-out.ts';

/** @param operation `take build` */
export function toOutputError(operation: string, error: unknown): StackshimError {
  if (error instanceof Stopped) {
    const message = `${operation}: stopped by the caller`;
    return new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', message, { cause: error });
  }
  if (!(error instanceof DestinationFailed)) {
    return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  }
  const { cause } = error;
  return new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', `${operation}: ${reasonOf(cause)}`, {
    cause,
  });
}
