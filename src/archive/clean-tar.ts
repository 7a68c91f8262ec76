/** Joins reader, parser and cleaner to turn an archive's bytes into a clean tar. */
import {
  type ArchiveCleaner,
  type CleanedArchive,
  type CleanerOptions,
  createArchiveCleaner,
} from './archive-cleaner.ts';
import { type ArchiveDigests, type ReadArchiveOptions, readArchive } from './read-archive.ts';
import type { TarEntry } from './tar-entry.ts';
import { createTarParser } from './tar-parser.ts';

export interface CleanTarOptions extends CleanerOptions, ReadArchiveOptions {
  /** Receives the entries. Default: a cleaner with these options. */
  readonly cleaner?: ArchiveCleaner | undefined;
  /** Called with the number of tar bytes read so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Receives each entry first; may replace it or throw. */
  readonly adapt?: ((entry: TarEntry) => TarEntry) | undefined;
}

export interface CleanTar {
  /** The input for `mkfs.erofs`. Throws if the archive is refused. */
  readonly tar: AsyncIterable<Buffer>;
  /** Valid once `tar` has been read to its end. */
  report(): CleanedArchive & ArchiveDigests;
}

/** Reads nothing before `tar` is read. The same input gives the same bytes. */
export function cleanTar(input: AsyncIterable<Uint8Array>, options: CleanTarOptions): CleanTar {
  const reading = readArchive(input, options);
  const cleaner = options.cleaner ?? createArchiveCleaner(options);
  const { adapt = (entry: TarEntry) => entry } = options;
  const parser = createTarParser(options.policy, options.limits, {
    entry: (entry) => cleaner.entry(adapt(entry)),
    data: cleaner.data,
  });
  async function* clean(): AsyncGenerator<Buffer> {
    let readBytes = 0;
    for await (const chunk of reading.tar) {
      parser.push(chunk);
      readBytes += chunk.length;
      options.onProgress?.(readBytes);
      const ready = cleaner.take();
      if (ready !== undefined) yield ready;
    }
    parser.end();
    cleaner.end();
    const rest = cleaner.take();
    if (rest !== undefined) yield rest;
  }
  return { tar: clean(), report: () => ({ ...cleaner.report(), ...reading.digests() }) };
}
