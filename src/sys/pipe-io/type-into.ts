/** Input for a terminal: what a stream gives, as if it were typed. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';

/** The end-of-file character of a new terminal (VEOF, termios(3)): Ctrl-D. */
const END_OF_FILE = '\u0004';

/**
 * Types what `source` gives into the master of a terminal, and the end-of-file character at the end of `source`.
 * The sink stays open: it is the same terminal that is read from.
 */
export function typeInto(
  sink: Writable,
  source: Readable,
  onError: (error: unknown) => void,
): void {
  let atLineStart = true;
  sink.on('error', (error) => {
    source.unpipe(sink);
    if (!isHangUp(error)) onError(error);
  });
  source.on('data', (chunk: Uint8Array | string) => {
    if (chunk.length > 0) atLineStart = chunk.at(-1) === '\n' || chunk.at(-1) === 0x0a;
  });
  // In the middle of a line the first one only hands over what there is of it: termios(3), VEOF.
  source.once('end', () => sink.write(atLineStart ? END_OF_FILE : END_OF_FILE.repeat(2)));
  source.once('error', onError);
  source.pipe(sink, { end: false });
}

/** What a master answers once the last process that had the terminal open has gone. */
export const isHangUp = (error: unknown): boolean => errnoCodeOf(error) === 'EIO';
