/** Writes this process's output by descriptor: `process.stdout` costs the executable 6 to 11 ms, even unused, and does not report lost output. */
import { errnoCodeOf, reasonOf, StackshimError } from '../../core/errors.ts';
import { writeFully } from '../../sys/pipes.ts';
import type { OutputSink } from '../../task/streams/output-sink.ts';

const NAMES = ['standard input', 'standard output', 'standard error'];

/**
 * Makes a sink that writes on a thread of the pool. If the reader closes, as `head` does, calls `onGone` once and drops later output.
 * Throws any other write error as one error that names the descriptor.
 */
export function descriptorSink(fd: number, onGone: () => void = () => undefined): OutputSink {
  let gone = false;
  return {
    async write(chunk) {
      if (gone) return;
      try {
        await writeFully(fd, chunk);
      } catch (error) {
        if (errnoCodeOf(error) !== 'EPIPE')
          throw toLostOutput(NAMES[fd] ?? `descriptor ${fd}`, error);
        if (!gone) onGone();
        gone = true;
      }
    },
  };
}

/** @param where `standard output`, or a file's path. */
export function toLostOutput(where: string, error: unknown): StackshimError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoCodeOf(error) ?? '');
  const message = `write ${where}: ${reasonOf(error)}`;
  return new StackshimError(isFull ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM', message, {
    cause: error,
    hint: 'free space, or send the output elsewhere; the unwritten output is lost',
  });
}
