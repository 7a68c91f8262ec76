/** Input for a terminal: what a stream gives, as if it were typed. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Feed } from './contract.ts';
import { type FeedTarget, feedFrom } from './feed-from.ts';

/** The end-of-file character of a new terminal (VEOF, termios(3)): Ctrl-D. */
const END_OF_FILE = '\u0004';
const NEWLINE = 0x0a;

/**
 * Types what `source` gives into the master of a terminal, and the end-of-file character at the end of `source`.
 * The sink stays open: it is the same terminal that is read from.
 */
export function typeInto(
  sink: Writable,
  source: Readable,
  onError: (error: unknown) => void,
): Feed {
  let atLineStart = true;
  // The callback of each write gets the same error.
  sink.on('error', () => undefined);
  const target: FeedTarget = {
    mostBytes: Number.POSITIVE_INFINITY,
    write(bytes, done) {
      atLineStart = bytes.at(-1) === NEWLINE;
      sink.write(bytes, done);
    },
    // In the middle of a line the first one only hands over what there is of it: termios(3), VEOF.
    end: () => void sink.write(atLineStart ? END_OF_FILE : END_OF_FILE.repeat(2)),
    isEnd: isHangUp,
  };
  return feedFrom(source, target, onError);
}

/** What a master answers once the last process that had the terminal open has gone. */
export const isHangUp = (error: unknown): boolean => errnoCodeOf(error) === 'EIO';
