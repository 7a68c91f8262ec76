/** Text that every store accepts: without NUL and lone surrogates (halves of UTF-16 pairs), and of bounded length. Pure. */

/** With the flag `u`, `\p{Surrogate}` matches only lone surrogates. */
const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** Replaces NUL and lone surrogates by U+FFFD, and cuts text longer than `most` characters. */
export function toStorableText(text: string, most = Number.POSITIVE_INFINITY): string {
  const cut = text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  return cut.replace(UNSTORABLE, '\uFFFD');
}

/** Copies a JSON-safe value and makes all its text storable, including field names. */
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

/** Returns where a value has text that some store refuses; undefined if there is none. The value must be bounded. */
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

/** Decodes UTF-8. Undefined for bytes that are not UTF-8 or contain NUL. */
export function decodeStorable(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
