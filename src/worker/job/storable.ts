/** Texts that every store takes: without NUL, without halves of UTF-16 pairs, and of bounded length. Pure. */

/** With the flag `u`, the pattern matches only half of a pair. */
const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** Replaces NUL and halves of pairs by U+FFFD, and cuts a text that is longer than `most` characters. */
export function toStorableText(text: string, most = Number.POSITIVE_INFINITY): string {
  const cut = text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  return cut.replace(UNSTORABLE, '\uFFFD');
}

/** A copy of a JSON-safe value with all of its texts made storable, names of fields included. */
export function toStorable<T>(value: T): T {
  return clean(value) as T;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return toStorableText(value);
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [toStorableText(name), clean(each)]),
  );
}

/** Where a text of a value cannot be stored by every store; undefined if all can. The value must be bounded. */
export function findUnstorable(value: unknown, field = ''): string | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : field;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, one] of Object.entries(value)) {
    const place = Array.isArray(value) ? `${field}[${name}]` : field === '' ? name : field;
    if (!isStorable(name)) return place;
    const found = findUnstorable(one, place);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isStorable = (text: string) => text.search(UNSTORABLE) === -1;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined for bytes that are not UTF-8, or that contain NUL. */
export function decodeStorable(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    // Not UTF-8.
    return undefined;
  }
}
