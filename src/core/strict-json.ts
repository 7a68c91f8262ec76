/** Reads JSON that other programs read as well, so that all of them see the same: of two keys that are one to some reader, each takes another. */

/** Why a text is not JSON that everybody reads alike. */
export class AmbiguousJson extends Error {
  override readonly name = 'AmbiguousJson';
}

const MAX_KEY_CHARS = 100;
const quote = (key: string) => JSON.stringify(key.slice(0, MAX_KEY_CHARS));

/**
 * What `JSON.parse` gives. Throws {@link AmbiguousJson} for a key that comes twice in one object (the last one wins here, the first one
 * elsewhere), a SyntaxError for what is not JSON.
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  refuseTwice(text);
  return value;
}

/** Of a text that is sound JSON: outside of a string, brackets are brackets. */
function refuseTwice(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(undefined);
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const end = endOfString(text, at);
      if (isKey(text, end)) takeKey(open.at(-1), text.slice(at, end));
      at = end - 1;
    }
  }
}

function takeKey(keys: Set<string> | undefined, literal: string): void {
  const key = String(JSON.parse(literal));
  if (keys?.has(key)) throw new AmbiguousJson(`the key ${quote(key)} comes twice`);
  keys?.add(key);
}

/** Behind the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isKey(text: string, after: number): boolean {
  let at = after;
  while (' \t\n\r'.includes(text[at] ?? '.')) at += 1;
  return text[at] === ':';
}

/**
 * Throws {@link AmbiguousJson} where `object` has a key that is one of `known` to a reader that does not look at case, as Go's is, and
 * is spelt differently.
 */
export function refuseOtherCase(object: object, known: readonly string[]): void {
  const spelt = new Map(known.map((key) => [fold(key), key]));
  for (const key of Object.keys(object)) {
    const meant = spelt.get(fold(key));
    if (meant !== undefined && meant !== key && !known.includes(key)) {
      throw new AmbiguousJson(`the key ${quote(key)}, which some take for ${quote(meant)}`);
    }
  }
}

/** Both ways: U+017F is an s in lower case only, U+212A a k in upper case only. */
const fold = (key: string) => key.toUpperCase().toLowerCase();
