/** Copies a caller's stream into a pipe. Node's `pipeline` does not fit, because it would destroy the stream that it reads from. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Feed } from './contract.ts';
import { feedFrom } from './feed-from.ts';

export interface SinkFeedOptions {
  /** The most bytes of one write. */
  readonly maxBytes: number;
  readonly onError: (error: unknown) => void;
}

/** @param sink The pipe's write end, which is closed at the end of `source` and when the feed is stopped. */
export function feedSink(
  sink: Writable,
  source: Readable,
  { maxBytes, onError }: SinkFeedOptions,
): Feed {
  // Ignored here: the callback of each write gets the same error.
  sink.on('error', () => undefined);
  const feed = feedFrom(
    source,
    {
      maxBytes,
      write: (bytes, done) => void sink.write(bytes, done),
      end: () => void sink.end(),
      isEnd: isClosedPipe,
    },
    onError,
  );
  return {
    stop() {
      feed.stop();
      sink.destroy();
    },
  };
}

/** EPIPE only means that the pipe has no reader any more. */
const isClosedPipe = (error: Error): boolean => errnoCodeOf(error) === 'EPIPE';
