/** Reads a stored layer from end to end and compares it with its name and its record. */
import { createHash } from 'node:crypto';
import { errnoCodeOf, messageOf, StackshimError } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import { type Layout, layerFile } from '../../core/layout.ts';
import { openRegularFile } from '../../sys/open-regular-file.ts';
import {
  type LayerRecord,
  readLayerRecord,
  readSoundRecord,
  toCorruptLayer,
} from './layer-record.ts';

const CHUNK_BYTES = 1 << 20;

interface VerifyLayerOptions {
  /** Called with the number of bytes read since the last call. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns ERR_STACKSHIM_LAYER_CORRUPT with `details.path` of the damaged file; undefined for a valid layer. Memory use does not grow with the
 * layer. Throws the reason of an aborted `signal`.
 */
export async function findLayerDamage(
  layout: Layout,
  id: LayerId,
  options: VerifyLayerOptions = {},
): Promise<StackshimError | undefined> {
  const path = layerFile(layout, id);
  try {
    const { sizeBytes } = readLayerRecord(layout, id);
    const actual = await hashFile(path, options);
    if (actual.bytes !== sizeBytes) {
      return toCorruptLayer(path, `${actual.bytes} bytes instead of ${sizeBytes}`);
    }
    if (actual.hex === id) return undefined;
    return toCorruptLayer(path, `its content has sha256 ${actual.hex}`);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof StackshimError) return error;
    const reason = errnoCodeOf(error) === 'ENOENT' ? 'missing' : messageOf(error);
    return toCorruptLayer(path, reason, error);
  }
}

/** Throws the damage that {@link findLayerDamage} finds, or the reason of an aborted `signal`. */
export async function requireSoundLayer(
  layout: Layout,
  id: LayerId,
  options: VerifyLayerOptions = {},
): Promise<void> {
  const damage = await findLayerDamage(layout, id, options);
  if (damage !== undefined) throw damage;
}

/**
 * Returns the layer's record if the whole file matches its name, for callers that would otherwise store the layer again. Undefined if the layer is
 * missing or damaged. Throws the reason of an aborted `signal`.
 */
export async function readVerifiedRecord(
  layout: Layout,
  id: LayerId,
  options: VerifyLayerOptions = {},
): Promise<LayerRecord | undefined> {
  // The cheap check first: it rejects most missing layers without reading a layer.
  if (readSoundRecord(layout, id) === undefined) return undefined;
  const damage = await findLayerDamage(layout, id, options);
  return damage === undefined ? readSoundRecord(layout, id) : undefined;
}

/** Reads a regular file from end to end. Follows no link. */
export async function hashFile(
  path: string,
  { onBytes, signal }: VerifyLayerOptions,
): Promise<{ readonly hex: string; readonly bytes: number }> {
  const file = await openRegularFile(path, { followLink: false });
  try {
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let bytes = 0;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, bytes);
      if (bytesRead === 0) return { hex: hash.digest('hex'), bytes };
      hash.update(chunk.subarray(0, bytesRead));
      bytes += bytesRead;
      onBytes?.(bytesRead);
    }
  } finally {
    await file.close();
  }
}
