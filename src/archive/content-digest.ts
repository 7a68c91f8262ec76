/** Computes a digest of what an archive contains, which is the same for every archive with the same entries, whatever their times are. */
import { createHash } from 'node:crypto';
import {
  type ArchiveCleaner,
  type CleanerOptions,
  createArchiveCleaner,
} from './archive-cleaner.ts';

/** A cleaner that passes nothing on. It refuses what any cleaner with the same options refuses. */
export interface ContentDigest extends ArchiveCleaner {
  /** In hexadecimal; valid after `end`. */
  digest(): string;
}

const CHUNK_BYTES = 256 * 1024;

/** Entries count in their order. Times do not count: two checkouts of the same files differ in them. */
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

/** A cleaner that passes on what `cleaner` passes on, while `content` computes its digest. */
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
