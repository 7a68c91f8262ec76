/** Why an entry was not taken, and what ends the work on an output. */
import { reasonOf, StackshimError, toStackshimError } from '../../core/errors.ts';

/** Why an entry was left out; docs/outputs.md explains each reason. */
export type LeftOutReason =
  /** A FIFO, a socket, a device: only files, folders and links are taken. */
  | 'fifo'
  | 'socket'
  | 'device'
  /** It was replaced by something else, or removed, while it was read. */
  | 'changed'
  /** Another filesystem is mounted there. */
  | 'mounted'
  | 'unreadable'
  /** Below more folders than are gone into. */
  | 'too_deep'
  | 'size_limit'
  | 'entries_limit'
  /** Its name is taken in the destination, by something that is not replaced. */
  | 'destination_exists'
  /** The filesystem of the destination cannot have such an entry. */
  | 'destination_refuses';

/** Thrown for one entry; the work goes on with the next one. */
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

/** Thrown when the caller, or another process, has asked for the end of the work. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * The error of an output that could not be written.
 *
 * @param operation `take build`
 */
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
