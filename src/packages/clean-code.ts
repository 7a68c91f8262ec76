/** Code on its way into an EROFS file. */
import type { CleanedArchive } from '../layers/archive-cleaner.ts';

/** A clean tar in the making, and what went into it. */
export interface CleanCode {
  readonly tar: AsyncIterable<Buffer>;
  report(): Pick<CleanedArchive, 'entries' | 'bytes'>;
}
