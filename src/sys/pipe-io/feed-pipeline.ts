/** From a caller's stream into a pipe. Not by the engine's `pipeline`: that destroys what it reads from. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Feed } from './contract.ts';
import { feedFrom } from './feed-from.ts';

export interface PipeFeedOptions {
  readonly mostBytes: number;
  readonly onError: (error: unknown) => void;
}

/** @param sink The pipe's write end, which is closed at the end of `source` and when the feed is stopped. */
export function feedPipeline(
  sink: Writable,
  source: Readable,
  { mostBytes, onError }: PipeFeedOptions,
): Feed {
  // The callback of the write tells.
  sink.on('error', () => undefined);
  const feed = feedFrom(
    source,
    {
      mostBytes,
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

/** It only says that nobody reads any more. */
const isClosedPipe = (error: Error): boolean => errnoCodeOf(error) === 'EPIPE';
