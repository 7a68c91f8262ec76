/** Reads JSON that other programs read as well. All readers must see the same values, but differ in which of two equal keys they take. */

/** Why readers of this JSON could disagree. */
export class AmbiguousJson extends Error {
  override readonly name = 'AmbiguousJson';
}

const MAX_KEY_CHARS = 100;
const quote = (key: string) => JSON.stringify(key.slice(0, MAX_KEY_CHARS));

/**
 * The result of `JSON.parse`. Throws {@link AmbiguousJson} for a key that occurs twice in one object (the last one wins here, elsewhere the
 * first), and a SyntaxError for text that is not JSON.
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  refuseTwice(text);
  return value;
}

/** Precondition: valid JSON, where every bracket outside of a string is a bracket. */
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

/** The index after a string's closing quote; the string begins at `start`. */
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

/** Throws {@link AmbiguousJson} if a key differs from a `known` one only in case: readers such as Go's take it for the same key. */
export function refuseOtherCase(object: object, known: readonly string[]): void {
  const spelt = new Map(known.map((key) => [fold(key), key]));
  for (const key of Object.keys(object)) {
    const meant = spelt.get(fold(key));
    if (meant !== undefined && meant !== key && !known.includes(key)) {
      throw new AmbiguousJson(`the key ${quote(key)}, which some take for ${quote(meant)}`);
    }
  }
}

/** Folds through both cases: U+017F becomes s only by upper case, U+212A becomes k only by lower case. */
const fold = (key: string) => key.toUpperCase().toLowerCase();
