/** Repeatable randomness: the seed is printed, and read from STACKSHIM_TEST_SEED if set. */
import { randomInt } from 'node:crypto';

export interface Random {
  /** A number from 0 to below 1. */
  next(): number;
  /** A whole number from 0 to below `below`. */
  below(below: number): number;
}

export function seedRandom(name: string): Random {
  const seed = Number(process.env['STACKSHIM_TEST_SEED'] ?? randomInt(2 ** 31));
  console.log(`${name}: STACKSHIM_TEST_SEED=${seed}`);
  let state = seed >>> 0;
  // mulberry32: short, and good enough for choosing kills.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (below) => Math.floor(next() * below) };
}
