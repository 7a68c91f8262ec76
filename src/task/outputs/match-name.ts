/**
 * Matches names with a shell pattern. The task chooses the names, so the time is bounded by the length of the name times that of the pattern; a
 * regular expression with several `*` would take minutes for one name.
 */
import type { ByteString } from '../../archive/tar-entry.ts';

/** Whether a name has a wildcard: `*`, `?` or `[…]`. */
export const isPatternName = (name: ByteString): boolean => /[*?[]/.test(name);

type Accepts = (character: ByteString) => boolean;

/** Undefined stands for `*`. */
type Token = Accepts | undefined;

/** Returns the test for a pattern. A name with a leading dot matches only a pattern with a leading dot. */
export function toMatcher(pattern: ByteString): (name: ByteString) => boolean {
  const tokens = toTokens(charactersOf(pattern));
  const takesDot = pattern.startsWith('.');
  return (name) => (takesDot || !name.startsWith('.')) && matches(tokens, charactersOf(name));
}

/** The UTF-8 characters of a name; a byte that belongs to none stands alone. */
const charactersOf = (name: ByteString): readonly ByteString[] =>
  name.match(/[\xc0-\xff][\x80-\xbf]*|./gs) ?? [];

function toTokens(characters: readonly ByteString[]): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at];
    const end = character === '[' ? characters.indexOf(']', at + 2) : -1;
    if (end !== -1) {
      tokens.push(toSet(characters.slice(at + 1, end)));
      at = end;
    } else if (character === '*') tokens.push(undefined);
    else if (character === '?') tokens.push(() => true);
    else tokens.push((given) => given === character);
  }
  return tokens;
}

/** The set between brackets. In UTF-8, the order of bytes is that of characters. */
function toSet(inside: readonly ByteString[]): Accepts {
  const isNegated = inside[0] === '!' || inside[0] === '^';
  const listed = isNegated ? inside.slice(1) : inside;
  const ranges: (readonly [from: ByteString, to: ByteString])[] = [];
  for (let at = 0; at < listed.length; at += 1) {
    const from = listed[at] ?? '';
    const to = listed[at + 1] === '-' ? listed[at + 2] : undefined;
    ranges.push([from, to ?? from]);
    if (to !== undefined) at += 2;
  }
  return (given) => ranges.some(([from, to]) => from <= given && given <= to) !== isNegated;
}

/** Only the last `*` is retried: the tokens after an earlier `*` have matched as early as possible. */
function matches(tokens: readonly Token[], name: readonly ByteString[]): boolean {
  let token = 0;
  let at = 0;
  let retry: { readonly token: number; at: number } | undefined;
  while (at < name.length) {
    const accepts = tokens[token];
    if (token < tokens.length && accepts === undefined) {
      token += 1;
      retry = { token, at };
    } else if (accepts?.(name[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (retry !== undefined) {
      retry.at += 1;
      ({ token, at } = retry);
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === undefined);
}
