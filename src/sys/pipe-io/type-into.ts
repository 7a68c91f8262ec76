/** Types a stream into a terminal, as a person would at the keyboard. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Feed } from './contract.ts';
import { type FeedTarget, feedFrom } from './feed-from.ts';

/** The end-of-file character of a new terminal (VEOF, termios(3)): Ctrl-D. */
const END_OF_FILE = '\u0004';
const NEWLINE = 0x0a;

/**
 * Types the bytes of `source` into the master of a terminal, and the end-of-file character at the end of `source`. The sink stays open,
 * because the same terminal is also read.
 */
export function typeInto(
  sink: Writable,
  source: Readable,
  onError: (error: unknown) => void,
): Feed {
  let atLineStart = true;
  // Ignored here: the callback of each write gets the same error.
  sink.on('error', () => undefined);
  const target: FeedTarget = {
    maxBytes: Number.POSITIVE_INFINITY,
    write(bytes, done) {
      atLineStart = bytes.at(-1) === NEWLINE;
      sink.write(bytes, done);
    },
    // In the middle of a line, the first end-of-file character only hands over the line so far: termios(3), VEOF.
    end: () => void sink.write(atLineStart ? END_OF_FILE : END_OF_FILE.repeat(2)),
    isEnd: isHangUp,
  };
  return feedFrom(source, target, onError);
}

/** Whether an error only means that the last process that had the terminal open has closed it. */
export const isHangUp = (error: unknown): boolean => errnoCodeOf(error) === 'EIO';
