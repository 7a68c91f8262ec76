/** Computes a digest of an archive's content, which is the same for every archive with the same entries, regardless of their times. */
import { createHash } from 'node:crypto';
import {
  type ArchiveCleaner,
  type CleanerOptions,
  createArchiveCleaner,
} from './archive-cleaner.ts';

/** A cleaner that passes nothing on. It refuses what any cleaner with the same options refuses. */
export interface ContentDigest extends ArchiveCleaner {
  /** The digest in hexadecimal; valid after `end`. */
  digest(): string;
}

const CHUNK_BYTES = 256 * 1024;

/** The order of entries counts. Times do not: they differ between two checkouts of the same files. */
export function createContentDigest(options: Omit<CleanerOptions, 'mtimeCeiling'>): ContentDigest {
  const cleaner = createArchiveCleaner({ ...options, mtimeCeiling: 0 });
  const hash = createHash('sha256');
  const hashReady = (atLeast: number) => {
    if (cleaner.readyBytes() < atLeast) return;
    const ready = cleaner.take();
    if (ready !== undefined) hash.update(ready);
  };
  return {
    entry(entry) {
      cleaner.entry(entry);
      hashReady(CHUNK_BYTES);
    },
    data(chunk) {
      cleaner.data(chunk);
      hashReady(CHUNK_BYTES);
    },
    end() {
      cleaner.end();
      hashReady(0);
    },
    take: () => undefined,
    readyBytes: () => 0,
    report: () => cleaner.report(),
    digest: () => hash.copy().digest('hex'),
  };
}

/** Passes on what `cleaner` passes on, while `content` computes its digest. */
export const digesting = (cleaner: ArchiveCleaner, content: ContentDigest): ArchiveCleaner => ({
  ...cleaner,
  entry(entry) {
    cleaner.entry(entry);
    content.entry(entry);
  },
  data(chunk) {
    cleaner.data(chunk);
    content.data(chunk);
  },
  end() {
    cleaner.end();
    content.end();
  },
});
