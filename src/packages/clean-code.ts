/** Code on its way into an EROFS file. */
import type { CleanedArchive } from '../archive/archive-cleaner.ts';

/** A clean tar that is being written, with counts of its content. */
export interface CleanCode {
  readonly tar: AsyncIterable<Buffer>;
  report(): Pick<CleanedArchive, 'entries' | 'bytes'>;
}
