/** Makes texts that every store takes: without NUL and without halves of UTF-16 pairs, and of bounded length. Pure. */

const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** Replaces both by U+FFFD, and cuts a text that is longer than `most` characters. */
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
