/** Copies a caller's stream into a pipe. Loaded only for tasks that read such a stream. */
import type { Readable } from 'node:stream';
import { feedSink } from './pipe-io/feed-from.ts';
import { type Feed, openSink, sinkWriteBytes } from './pipes.ts';
import type { Fd } from './system.ts';

/**
 * Copies `source` into the pipe. Owns the descriptor: closes it at the end of `source` or when the feed is stopped. A reader that closes its end
 * is not an error; other errors go to `onError`. Bytes that were not written stay in the source.
 */
export type FeedPipe = (fd: Fd, source: Readable, onError: (error: unknown) => void) => Feed;

export const feedPipe: FeedPipe = (fd, source, onError) =>
  feedSink(openSink(fd), source, sinkWriteBytes, onError);
