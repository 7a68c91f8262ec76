/** Copies a caller's stream into a pipe. Loaded for tasks that read one. */
import type { Readable } from 'node:stream';
import { feedSink } from './pipe-io/feed-from.ts';
import { type Feed, openSink, sinkWriteBytes } from './pipes.ts';
import type { Fd } from './system.ts';

/**
 * Copies `source` into the pipe and closes it at the end of `source`, or when the feed is stopped. Takes the descriptor over.
 * A reader that has closed its end is no error; anything else is handed to `onError`. The bytes of the source that were not written stay in it.
 */
export type FeedPipe = (fd: Fd, source: Readable, onError: (error: unknown) => void) => Feed;

export const feedPipe: FeedPipe = (fd, source, onError) =>
  feedSink(openSink(fd), source, { maxBytes: sinkWriteBytes, onError });
