/** Runs a tar through the cleaner in memory and reads the result. */
import { Readable } from 'node:stream';
import type { CleanedArchive } from '../../../src/archive/archive-cleaner.ts';
import { type ArchiveLimits, LAYER_LIMITS } from '../../../src/archive/archive-limits.ts';
import { LAYER_POLICY } from '../../../src/archive/archive-policy.ts';
import { cleanTar } from '../../../src/archive/clean-tar.ts';
import type { ArchiveDigests, Compression } from '../../../src/archive/read-archive.ts';
import type { TarEntry } from '../../../src/archive/tar-entry.ts';
import { createTarParser } from '../../../src/archive/tar-parser.ts';
import { workers } from '../installation/workers.ts';

export interface Cleaned {
  readonly entries: readonly (TarEntry & { readonly content: string })[];
  readonly report: CleanedArchive & ArchiveDigests;
}

export interface CleanOptions {
  readonly limits?: Partial<ArchiveLimits>;
  readonly compression?: Compression;
  readonly mtimeCeiling?: number;
  /** How the input is divided into chunks. */
  readonly chunkBytes?: number;
}

/** Cleans the tar as a layer. */
export async function cleanInMemory(tar: Buffer, options: CleanOptions = {}): Promise<Cleaned> {
  const cleaned = cleanTar(Readable.from(cut(tar, options.chunkBytes ?? 700)), {
    policy: LAYER_POLICY,
    workers,
    limits: { ...LAYER_LIMITS, ...options.limits },
    compression: options.compression ?? 'none',
    mtimeCeiling: options.mtimeCeiling,
  });
  const output = await readAll(cleaned.tar);
  return { entries: parseClean(output), report: cleaned.report() };
}

/** All of it in one piece. */
export async function readAll(input: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of input) pieces.push(piece);
  return Buffer.concat(pieces);
}

function* cut(bytes: Buffer, chunkBytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function parseClean(tar: Buffer): Cleaned['entries'] {
  const entries: (TarEntry & { content: string })[] = [];
  const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, {
    entry: (entry) => entries.push({ ...entry, content: '' }),
    data: (chunk) => {
      const latest = entries.at(-1);
      if (latest !== undefined) latest.content += chunk.toString('latin1');
    },
  });
  parser.push(tar);
  parser.end();
  return entries;
}
