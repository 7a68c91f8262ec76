/**
 * The file `layers/<hex>.packed`: digest and size of the tar that the layer packs into; its content alone decides them. Losing the file costs only
 * time; docs/on-disk-layout.md describes it.
 */
import { createHash } from 'node:crypto';
import { packLayer } from '../../archive/pack-layer.ts';
import { isImageDigest, type LayerId } from '../../core/ids.ts';
import { type Layout, layerPackedFile } from '../../core/layout.ts';
import { integer, textThat } from '../../core/read-fields.ts';
import type { System } from '../../sys/system.ts';
import { readStoredCache, storedFields } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import { mountLayer } from './mount-layer.ts';
import { requireSoundLayer } from './verify-layer.ts';

export interface PackedLayer {
  /** `sha256:<hex>` of the tar. */
  readonly digest: string;
  readonly size: number;
}

const reader = storedFields<PackedLayer>({
  digest: textThat(isImageDigest, 'not a sha256 digest'),
  size: integer(1),
});

/** Size in bytes of the tar that the layer packs into; undefined if not stored, and only packing would tell. */
export const sizeOfPacking = (layout: Layout, id: LayerId): number | undefined =>
  readPacked(layout, id)?.size;

/**
 * Returns the digest and size of the tar that the layer packs into. Without stored values, verifies, mounts and packs the layer, and stores them.
 * Precondition: the layer is stored and pinned. Throws ERR_STACKSHIM_LAYER_CORRUPT and the errors of `packLayer`.
 */
export async function findPackedLayer(
  layout: Layout,
  id: LayerId,
  { system, signal }: { readonly system: System; readonly signal?: AbortSignal | undefined },
): Promise<PackedLayer> {
  const known = readPacked(layout, id);
  if (known !== undefined) return known;
  await requireSoundLayer(layout, id, { signal });
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of packLayer(mountLayer(system, layout, id), { signal })) {
    hash.update(chunk);
    size += chunk.length;
  }
  const packed = { digest: `sha256:${hash.digest('hex')}`, size };
  await rememberPackedLayer(layout, id, packed);
  return packed;
}

/** Stores the digest and size of the tar that an intact layer was packed into, for {@link findPackedLayer}. */
export async function rememberPackedLayer(
  layout: Layout,
  id: LayerId,
  { digest, size }: PackedLayer,
): Promise<void> {
  if (readPacked(layout, id) !== undefined) return;
  await writeStoredJson(layerPackedFile(layout, id), { digest, size });
}

/** Undefined if the file is missing or damaged: the layer is then packed again. */
const readPacked = (layout: Layout, id: LayerId): PackedLayer | undefined =>
  readStoredCache(layerPackedFile(layout, id), {
    reader,
    code: 'ERR_STACKSHIM_LAYER_CORRUPT',
    what: 'digest of a packed layer',
  });
