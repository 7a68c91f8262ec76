/** Random numbers from a seed: the same seed gives the same cases on every machine. */

export interface Random {
  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number;
  pick<T>(choices: readonly [T, ...T[]] | readonly T[]): T;
  chance(probability: number): boolean;
  bytes(length: number): Buffer;
}

/** Mulberry32: 32 bits of state are enough for one case. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    pick(choices) {
      const chosen = choices[below(choices.length)];
      if (choices.length === 0) throw new Error('nothing to pick from');
      return chosen as (typeof choices)[number];
    },
    chance: (probability) => next() < probability,
    bytes(length) {
      const bytes = Buffer.alloc(length);
      for (let at = 0; at < length; at++) bytes[at] = below(256);
      return bytes;
    },
  };
}

/** One number from several values: FNV-1a of their text. */
export function mixSeed(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(parts.join('\0'))) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
