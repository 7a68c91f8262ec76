/** Durations: text with units, or a number of milliseconds. */
import { invalidField } from './invalid-field.ts';
import { showDuration } from './show-quantity.ts';

const PART = /(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h)/g;
const BARE = /^\d{1,12}(?:\.\d{1,9})?$/;
/** No text of another form is a duration. */
export const DURATION =
  /^\d{1,12}(?:\.\d{1,9})?(?:(?:ms|s|m|h)(?:\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h)){0,7})?$/;
const MS_OF: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export interface DurationBounds {
  /** Smallest allowed value, in milliseconds. */
  readonly min: number;
  readonly max: number;
}

/**
 * Milliseconds from a number (of milliseconds) or from text: `500ms`, `60s`, `1m30s`, `2h`; text without a unit is seconds, as docker takes it.
 * Rounded to a whole millisecond. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`.
 */
export function parseDuration(
  value: string | number,
  field: string,
  bounds: DurationBounds,
): number {
  const ms = typeof value === 'number' ? value : msOfText(value, field);
  if (!Number.isFinite(ms)) throw invalidField(field, 'not a finite duration', value);
  if (ms < bounds.min || ms > bounds.max) {
    throw invalidField(
      field,
      `not between ${showDuration(bounds.min)} and ${showDuration(bounds.max)}`,
      value,
    );
  }
  return Math.round(ms);
}

function msOfText(text: string, field: string): number {
  if (BARE.test(text)) return Number(text) * 1000;
  if (!DURATION.test(text)) {
    throw invalidField(field, 'not a duration such as 500ms, 60s, 1m30s or 2h', text);
  }
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART))
    ms += Number(amount) * (MS_OF[unit ?? ''] ?? 0);
  return ms;
}
