/**
 * This process's own output, written by descriptor: `process.stdout` costs the executable 6 to 11 ms to set up, which a task
 * that prints nothing need not pay, and neither need one that does.
 */
import { errnoCodeOf } from '../core/errors.ts';
import { writeFully } from '../sys/write-fully.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';

/** A sink that writes on a thread of the pool. Whoever read it may go, as `head` does: the task runs on, its output is dropped. */
export function descriptorSink(fd: number): OutputSink {
  let gone = false;
  return {
    async write(chunk) {
      if (gone) return;
      try {
        await writeFully(fd, chunk);
      } catch (error) {
        if (errnoCodeOf(error) !== 'EPIPE') throw error;
        gone = true;
      }
    },
  };
}
