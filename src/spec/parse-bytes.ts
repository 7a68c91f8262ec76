/** Quantities of bytes as docker writes them. */
import { invalidField } from './invalid-field.ts';
import { showBytes } from './show-quantity.ts';

/** No text of another form is a number of bytes. */
export const BYTES = /^(\d{1,16}(?:\.\d{1,9})?)(?: ?(?:([kmgtKMGT])(?:[iI]?[bB])?|[bB]))?$/;
const POWER_OF_1024: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

export interface ByteBounds {
  /** Smallest allowed value; 0 when absent. */
  readonly min?: number;
  /** Largest allowed value; 2^53-1 when absent. */
  readonly max?: number;
}

/**
 * Bytes from a whole number, or from text with a suffix `b`, `k`, `m`, `g` or `t` (powers of 1024, also as `kb` or `KiB`; none: bytes).
 * A fraction of a byte is cut off. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`.
 */
export function parseBytes(value: string | number, field: string, bounds: ByteBounds = {}): number {
  const bytes = typeof value === 'number' ? value : bytesOfText(value, field);
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  if (!Number.isSafeInteger(bytes)) {
    throw invalidField(field, 'not a whole number of bytes below 2^53', value);
  }
  if (bytes < min) throw invalidField(field, `less than the minimum of ${showBytes(min)}`, value);
  if (bytes > max) throw invalidField(field, `more than the maximum of ${showBytes(max)}`, value);
  return bytes;
}

function bytesOfText(text: string, field: string): number {
  const match = BYTES.exec(text);
  if (match === null) throw invalidField(field, 'not a number of bytes such as 256m or 1g', text);
  return Math.floor(Number(match[1]) * 1024 ** (POWER_OF_1024[match[2]?.toLowerCase() ?? ''] ?? 0));
}
