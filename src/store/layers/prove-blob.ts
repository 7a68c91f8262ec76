/**
 * Checks the blob of a layer that is already stored: naming a layer must not be enough to get its content.
 *
 * The file `layers/<hex>.blobs` lists blobs known to unpack to a stored layer. When another image brings a listed blob, the blob is not unpacked
 * again. Losing the file costs only time; docs/on-disk-layout.md describes it.
 */
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { LAYER_POLICY, toArchiveTooLarge } from '../../archive/archive-policy.ts';
import { type Compression, readArchive } from '../../archive/read-archive.ts';
import { isImageDigest, type LayerId } from '../../core/ids.ts';
import { type Layout, layerBlobsFile } from '../../core/layout.ts';
import { listOf, objectOf, textThat } from '../../core/read-fields.ts';
import type { System } from '../../sys/system.ts';
import { readStoredCache, storedFields } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { requireExpected } from './import-layer.ts';

interface ProvenBlob {
  /** `sha256:<hex>` of the blob. */
  readonly digest: string;
  /** `sha256:<hex>` of the tar in the blob. */
  readonly diffId: string;
}

/** Registries and tools compress a layer in only a few different ways. */
const MAX_BLOBS = 32;

const sha256 = textThat(isImageDigest, 'not a sha256 digest');
const reader = storedFields<{ readonly blobs: readonly ProvenBlob[] }>({
  blobs: listOf(objectOf<ProvenBlob>({ digest: sha256, diffId: sha256 }), MAX_BLOBS),
});

interface ProveBlobOptions {
  readonly layout: Layout;
  readonly system: System;
  /** The stored layer that was made from a tar with the blob's DiffID. */
  readonly id: LayerId;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the blob to its end. Returns if the blob has the announced digest, size and DiffID. A blob known to unpack to this layer is not unpacked
 * again. Throws ERR_STACKSHIM_LAYER_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE, ERR_STACKSHIM_TOOL_MISSING, and errors of reading `input`.
 */
export async function proveBlob(
  input: AsyncIterable<Uint8Array>,
  blob: ProvenBlob & { readonly size: number; readonly compression: Compression },
  { layout, system, id, signal }: ProveBlobOptions,
): Promise<void> {
  const proven = isKnown(readBlobs(layout, id), blob);
  const reading = readArchive(input, {
    ...{ policy: LAYER_POLICY, limits: LAYER_LIMITS, workers: { system, layout }, signal },
    compression: proven ? 'none' : blob.compression,
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

/** Records that the blob unpacks to the layer. */
export async function rememberBlob(
  layout: Layout,
  id: LayerId,
  { digest, diffId }: ProvenBlob,
): Promise<void> {
  const known = readBlobs(layout, id);
  if (isKnown(known, { digest, diffId })) return;
  const blobs = [...known, { digest, diffId }].slice(-MAX_BLOBS);
  await writeStoredJson(layerBlobsFile(layout, id), { blobs });
}

const isKnown = (known: readonly ProvenBlob[], { digest, diffId }: ProvenBlob): boolean =>
  known.some((one) => one.digest === digest && one.diffId === diffId);

/** Latest last. Empty if the file is missing or damaged: every blob is then unpacked again. */
function readBlobs(layout: Layout, id: LayerId): readonly ProvenBlob[] {
  const options = { reader, code: 'ERR_STACKSHIM_LAYER_CORRUPT', what: 'list of blobs' } as const;
  return readStoredCache(layerBlobsFile(layout, id), options)?.blobs ?? [];
}
