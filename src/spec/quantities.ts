/** Parses bytes, durations and numbers as people type them, and formats them for messages. Pure. */
import { invalidField } from './field-errors.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** Matches the text of every valid number of bytes. */
export const BYTES = /^(\d{1,16}(?:\.\d{1,9})?)(?: ?(?:([kmgtKMGT])(?:[iI]?[bB])?|[bB]))?$/;
/** Smallest first. */
const POWER_OF_1024: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

/** The smallest and the largest allowed value, in the base unit. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/**
 * Returns bytes from a whole number, or from text with a suffix `b`, `k`, `m`, `g` or `t` (powers of 1024, also as `kb` or `KiB`; none:
 * bytes). Cuts off a fraction of a byte in text. Default bounds: 0 and 2^53-1. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`.
 */
export function parseBytes(
  value: string | number,
  field: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Partial<Bounds> = {},
): number {
  const bytes = typeof value === 'number' ? value : bytesOfText(value, field);
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

const PART = /(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h)/g;
const BARE = /^\d{1,12}(?:\.\d{1,9})?$/;
/** Matches the text of every valid duration. */
export const DURATION =
  /^\d{1,12}(?:\.\d{1,9})?(?:(?:ms|s|m|h)(?:\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h)){0,7})?$/;
/** Smallest first. */
const MS_OF: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Returns milliseconds from a number (of milliseconds) or from text: `500ms`, `60s`, `1m30s`, `2h`. Text without a unit is seconds, as in
 * docker. Rounds to a whole millisecond. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`.
 */
export function parseDuration(value: string | number, field: string, { min, max }: Bounds): number {
  const ms = typeof value === 'number' ? value : msOfText(value, field);
  if (!Number.isFinite(ms)) throw invalidField(field, 'not a finite duration', value);
  if (ms >= min && ms <= max) return Math.round(ms);
  throw invalidField(field, `not between ${showDuration(min)} and ${showDuration(max)}`, value);
}

function msOfText(text: string, field: string): number {
  if (BARE.test(text)) return Number(text) * 1000;
  if (!DURATION.test(text)) {
    throw invalidField(field, 'not a duration such as 500ms, 60s, 1m30s or 2h', text);
  }
  let ms = 0;
  for (const [, amount, unit = ''] of text.matchAll(PART))
    ms += Number(amount) * (MS_OF[unit] ?? 0);
  return ms;
}

export const DECIMAL = /^\d{1,10}(?:\.\d{1,9})?$/;

/** Returns CPUs from a number or its decimal text, at least 0.01 as in docker. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCpus(value: string | number, field: string): number {
  const cpus = numberOf(value, field);
  const { cpusMin, cpusMax } = SPEC_BOUNDS;
  if (cpus >= cpusMin && cpus <= cpusMax) return cpus;
  throw invalidField(field, `not between ${cpusMin} and ${cpusMax} cpus`, value);
}

/** Returns a whole number from a number or its decimal text. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCount(value: string | number, field: string, { min, max }: Bounds): number {
  const count = numberOf(value, field);
  if (Number.isInteger(count) && count >= min && count <= max) return count;
  throw invalidField(field, `not a whole number from ${min} to ${max}`, value);
}

/** Returns a factor from a number or its decimal text. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseFactor(value: string | number, field: string, { min, max }: Bounds): number {
  const factor = numberOf(value, field);
  if (factor >= min && factor <= max) return factor;
  throw invalidField(field, `not a number from ${min} to ${max}`, value);
}

function numberOf(value: string | number, field: string): number {
  if (typeof value === 'number') return value;
  if (DECIMAL.test(value)) return Number(value);
  throw invalidField(field, 'not a decimal number', value);
}

/** Formats 536870912 as `512m`: in the largest unit that is exact, else in bytes. */
export function showBytes(bytes: number): string {
  for (const [unit, power] of Object.entries(POWER_OF_1024).reverse()) {
    const size = 1024 ** power;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes} bytes`;
}

/** Formats 90000 milliseconds as `1m30s`. */
export function showDuration(ms: number): string {
  let left = Math.round(ms);
  let shown = '';
  for (const [unit, size] of Object.entries(MS_OF).reverse()) {
    const count = Math.floor(left / size);
    if (count > 0) shown += `${count}${unit}`;
    left -= count * size;
  }
  return shown === '' ? '0s' : shown;
}
