/**
 * The file `layers/<hex>.packed`: digest and size of the tar that the layer is packed into, which the layer's content alone decides.
 * Losing the file costs time only; docs/on-disk-layout.md describes it.
 */
import { createHash } from 'node:crypto';
import type { LayerId } from '../core/ids.ts';
import { type Layout, layerPackedFile } from '../core/layout.ts';
import { integer, objectOf, oneOf, textThat } from '../core/read-fields.ts';
import type { System } from '../sys/system.ts';
import { writeFileAtomic } from '../sys/write-file.ts';
import { guardDisk } from './guard-disk.ts';
import { mountLayer } from './mount-layer.ts';
import { packLayer } from './pack-layer.ts';
import { readStoredCache } from './stored-json.ts';

export interface PackedLayer {
  /** `sha256:<hex>` of the tar. */
  readonly digest: string;
  readonly size: number;
}

const reader = objectOf<PackedLayer & { readonly version: 1 }>({
  version: oneOf(1),
  digest: textThat((value) => /^sha256:[0-9a-f]{64}$/.test(value), 'not a sha256 digest'),
  size: integer(1),
});

/** Whether {@link findPackedLayer} finds it without packing the layer. */
export const isPackingKnown = (layout: Layout, id: LayerId): boolean =>
  readPacked(layout, id) !== undefined;

/** What the layer packs into, as it was found before, or by packing it: a stored and pinned layer is mounted for that. Throws as `packLayer`. */
export async function findPackedLayer(
  layout: Layout,
  id: LayerId,
  { system, signal }: { readonly system: System; readonly signal?: AbortSignal | undefined },
): Promise<PackedLayer> {
  const known = readPacked(layout, id);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of packLayer(mountLayer(system, layout, id), { signal })) {
    hash.update(chunk);
    size += chunk.length;
  }
  const packed = { digest: `sha256:${hash.digest('hex')}`, size };
  const path = layerPackedFile(layout, id);
  const text = `${JSON.stringify({ version: 1, ...packed }, null, 2)}\n`;
  await guardDisk(`write ${path}`, () => writeFileAtomic(path, text, { durable: true }));
  return packed;
}

/** Undefined: there is no file that can be read, and the layer is packed again. */
const readPacked = (layout: Layout, id: LayerId): PackedLayer | undefined =>
  readStoredCache(layerPackedFile(layout, id), {
    reader,
    code: 'ERR_STACKSHIM_LAYER_CORRUPT',
    what: 'digest of a packed layer',
  });
