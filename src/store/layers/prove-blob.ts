/** Checks the blob of a layer that is already stored: naming a layer must not be enough to get its content. */

import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { LAYER_POLICY, toArchiveTooLarge } from '../../archive/archive-policy.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import type { LayerId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { System } from '../../sys/system.ts';
import { requireExpected } from './import-layer.ts';
import { isProven, type ProvenBlob, rememberBlob } from './proven-blobs.ts';

export interface BlobToProve extends ProvenBlob {
  readonly size: number;
  readonly compression: Compression;
}

export interface ProveBlobOptions {
  readonly layout: Layout;
  readonly system: System;
  /** The stored layer that was made from a tar with the blob's DiffID. */
  readonly id: LayerId;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the blob to its end, and returns if it has the announced digest, size and DiffID. A blob that is known
 * to unpack to this layer is not unpacked again. Throws ERR_STACKSHIM_LAYER_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE,
 * ERR_STACKSHIM_TOOL_MISSING, and errors of reading `input`.
 */
export async function proveBlob(
  input: AsyncIterable<Uint8Array>,
  blob: BlobToProve,
  { layout, system, id, signal }: ProveBlobOptions,
): Promise<void> {
  const proven = isProven(layout, id, blob);
  const reading = readArchive(input, {
    policy: LAYER_POLICY,
    limits: LAYER_LIMITS,
    compression: proven ? 'none' : blob.compression,
    workers: { system, layout },
    signal,
  });
  let bytes = 0;
  for await (const chunk of reading.tar) {
    bytes += chunk.length;
    if (bytes > LAYER_LIMITS.bytes) {
      throw toArchiveTooLarge(LAYER_POLICY, 'bytes', LAYER_LIMITS.bytes);
    }
  }
  const found = reading.digests();
  requireExpected('size', blob.size, found.packedBytes);
  requireExpected('digest', blob.digest, found.digest);
  if (proven) return;
  requireExpected('DiffID', blob.diffId, found.diffId);
  await rememberBlob(layout, id, blob);
}
