/**
 * The file `layers/<hex>.blobs`: which blobs are known to unpack to a stored layer. An image that brings one of them again need not have it
 * unpacked again. Losing the file only costs time; docs/on-disk-layout.md describes it.
 */
import { isImageDigest, type LayerId } from '../../core/ids.ts';
import { type Layout, layerBlobsFile } from '../../core/layout.ts';
import { listOf, objectOf, oneOf, textThat } from '../../core/read-fields.ts';
import { readStoredCache } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';

export interface ProvenBlob {
  /** `sha256:<hex>` of the blob. */
  readonly digest: string;
  /** `sha256:<hex>` of the tar in it. */
  readonly diffId: string;
}

interface ProvenBlobs {
  readonly version: 1;
  /** Latest last. */
  readonly blobs: readonly ProvenBlob[];
}

/** Registries and tools compress a layer in few different ways. */
const MAX_BLOBS = 32;

const sha256 = textThat(isImageDigest, 'not a sha256 digest');
const reader = objectOf<ProvenBlobs>({
  version: oneOf(1),
  blobs: listOf(objectOf<ProvenBlob>({ digest: sha256, diffId: sha256 }), MAX_BLOBS),
});

/** Whether the blob is known to unpack to the tar, and the tar to become the layer. */
export const isProven = (layout: Layout, id: LayerId, blob: ProvenBlob): boolean =>
  readBlobs(layout, id).some((one) => isSame(one, blob));

/** Records that the blob unpacks to the layer. */
export async function rememberBlob(layout: Layout, id: LayerId, blob: ProvenBlob): Promise<void> {
  const known = readBlobs(layout, id);
  if (known.some((one) => isSame(one, blob))) return;
  const { digest, diffId } = blob;
  const blobs = [...known, { digest, diffId }].slice(-MAX_BLOBS);
  await writeStoredJson(layerBlobsFile(layout, id), { version: 1, blobs });
}

const isSame = (one: ProvenBlob, other: ProvenBlob) =>
  one.digest === other.digest && one.diffId === other.diffId;

/** Empty when the file cannot be read: every blob is then unpacked again. */
function readBlobs(layout: Layout, id: LayerId): readonly ProvenBlob[] {
  const options = { reader, code: 'ERR_STACKSHIM_LAYER_CORRUPT', what: 'list of blobs' } as const;
  return readStoredCache(layerBlobsFile(layout, id), options)?.blobs ?? [];
}
