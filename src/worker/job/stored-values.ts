/** Reads values in the store's record of a job. Anyone who can write to the store may have written them, so nothing throws. Pure. */
import { isObject, parseJson } from '../../core/read-fields.ts';

/** Parses text as JSON, undefined if it is not JSON; returns any other value unchanged. */
export const parseStored = (value: unknown): unknown =>
  typeof value === 'string' ? parseJson(value) : value;

/** Reads the fields of an object or of its JSON text; empty for anything else. */
export function readFields(value: unknown): Readonly<Record<string, unknown>> {
  const parsed = parseStored(value);
  return isObject(parsed) ? (parsed as Readonly<Record<string, unknown>>) : {};
}

/** Undefined for anything but an object with this field of its own. */
export const ownField = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;

export const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** Returns 0 for anything but a count. */
export const toCount = (value: unknown): number => (isCount(value) ? value : 0);

export const textOrNull = (value: unknown): string | null =>
  typeof value === 'string' ? value : null;

/** The largest time of a `Date`, in milliseconds. */
const LAST_MS = 8.64e15;

/** Converts milliseconds since 1970 to ISO 8601, UTC; undefined for anything else. */
export const toIsoTime = (value: unknown): string | undefined =>
  typeof value === 'number' && value >= 0 && value <= LAST_MS
    ? new Date(value).toISOString()
    : undefined;
