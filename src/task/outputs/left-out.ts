/** Why an entry was left out, and the errors that end the work on an output. */
import { reasonOf, StackshimError, toStackshimError } from '../../core/errors.ts';

/** Why an entry was left out; docs/outputs.md explains each reason. */
export type LeftOutReason =
  /** Only files, folders and links are taken. */
  | 'fifo'
  | 'socket'
  | 'device'
  /** The entry was replaced or removed while it was read. */
  | 'changed'
  /** Another filesystem is mounted there. */
  | 'mounted'
  | 'unreadable'
  /** The entry lies deeper than the walk goes. */
  | 'too_deep'
  | 'size_limit'
  | 'entries_limit'
  /** The destination already has this name, for an entry that is not replaced. */
  | 'destination_exists'
  /** The destination's filesystem cannot have such an entry. */
  | 'destination_refuses';

/** Thrown for one entry; the work goes on with the next. */
export class LeftOut extends Error {
  override readonly name = 'LeftOut';
  readonly reason: LeftOutReason;

  constructor(reason: LeftOutReason) {
    super(reason);
    this.reason = reason;
  }
}

/** Thrown when nothing more can be written: the destination is full, has failed or has no reader. The cause says why. */
export class DestinationFailed extends Error {
  override readonly name = 'DestinationFailed';
}

/** Thrown when the caller or another process has asked for the end of the work. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** The error of an output that could not be written. `operation` is, for example, `take build`. */
export function toOutputError(operation: string, error: unknown): StackshimError {
  if (error instanceof Stopped) {
    const message = `${operation}: stopped by the caller`;
    return new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', message, { cause: error });
  }
  if (!(error instanceof DestinationFailed)) {
    return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  }
  const { cause } = error;
  const text = `${operation}: ${reasonOf(cause)}`;
  return new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', text, { cause });
}
