/** Decompresses an archive as it arrives, and computes its two digests. */
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { toStackshimError } from '../core/errors.ts';
import { type ArchiveLimits, RATIO_FREE_BYTES } from './archive-limits.ts';
import { type ArchivePolicy, toArchiveTooLarge, toInvalidArchive } from './archive-policy.ts';
import type { WorkerHost } from './claim-worker.ts';
import { decompressByProgram } from './decompress-by-program.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz';

export interface ReadArchiveOptions {
  readonly policy: ArchivePolicy;
  readonly limits: ArchiveLimits;
  readonly compression: Compression;
  /** Provides an id for the program that decompresses zstd or xz. */
  readonly workers: WorkerHost;
  /** Ends that program when aborted. */
  readonly signal?: AbortSignal | undefined;
}

export interface ArchiveDigests {
  /** `sha256:<hex>` of the bytes as received: the blob's digest. */
  readonly digest: string;
  /** `sha256:<hex>` of the tar: the OCI DiffID. */
  readonly diffId: string;
  readonly packedBytes: number;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * The tar's bytes, whose reader drives the whole pipeline, and the digests, valid after that. `tar` throws the policy's code for a damaged
 * archive, ERR_STACKSHIM_LAYER_TOO_LARGE over the ratio, and ERR_STACKSHIM_TOOL_MISSING for zstd or xz without its program.
 */
export function readArchive(
  input: AsyncIterable<Uint8Array>,
  options: ReadArchiveOptions,
): { readonly tar: AsyncIterable<Buffer>; digests(): ArchiveDigests } {
  const packed = createHash('sha256');
  const unpacked = createHash('sha256');
  let packedBytes = 0;
  let unpackedBytes = 0;

  async function* meterPacked(): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      packedBytes += bytes.length;
      packed.update(bytes);
      yield bytes;
    }
  }

  async function* meterUnpacked(): AsyncGenerator<Buffer> {
    const { policy, limits } = options;
    for await (const chunk of decompress(meterPacked(), options)) {
      unpackedBytes += chunk.length;
      if (unpackedBytes > RATIO_FREE_BYTES && unpackedBytes > packedBytes * limits.ratio) {
        throw toArchiveTooLarge(policy, 'bytes from each packed byte', limits.ratio);
      }
      if (options.compression !== 'none') unpacked.update(chunk);
      yield chunk;
    }
  }

  return {
    tar: meterUnpacked(),
    digests: () => {
      const digest = `sha256:${packed.copy().digest('hex')}`;
      const diffId =
        options.compression === 'none' ? digest : `sha256:${unpacked.copy().digest('hex')}`;
      return { digest, diffId, packedBytes };
    },
  };
}

async function* decompress(
  input: AsyncGenerator<Buffer>,
  options: ReadArchiveOptions,
): AsyncGenerator<Buffer> {
  const { policy, compression } = options;
  if (compression === 'none') return yield* input;
  if (compression !== 'gzip') return yield* decompressByProgram(input, compression, options);
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  let fedBytes = 0;
  let inputFailure: { readonly error: unknown } | undefined;
  async function* feed(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of input) {
        fedBytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      inputFailure = { error };
      throw error;
    }
  }
  // An input failure destroys `gunzip`; its reader below gets the error.
  pipeline(feed(), gunzip, () => undefined);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    if (inputFailure !== undefined) throw inputFailure.error;
    throw toStackshimError(error, policy.invalidCode, `decompress ${policy.subject}`);
  }
  // zlib silently ignores bytes after the last member that are not a member themselves.
  if (gunzip.bytesWritten !== fedBytes) {
    throw toInvalidArchive(policy, 'more bytes follow the end of the gzip data');
  }
}
