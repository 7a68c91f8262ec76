/** "Any value but these" in the terms of a filter, which can only compare some bits of a value with a constant. */

/** Matches every value whose bits of `mask` are those of `value`. */
export interface MaskedValue {
  readonly mask: number;
  readonly value: number;
}

/**
 * Pairs of which exactly one matches every value that is none of `values`, and none matches one of them. Only `bits`, 31 at most, are
 * looked at: values that agree in these are one value.
 */
export function exceptValues(values: readonly number[], bits: number): readonly MaskedValue[] {
  const all = Array.from({ length: 31 }, (_, bit) => 2 ** bit).filter((bit) => (bits & bit) !== 0);
  return split({ mask: 0, value: 0 }, { values, free: all });
}

interface Rest {
  readonly values: readonly number[];
  /** Bits that were not looked at yet. */
  readonly free: readonly number[];
}

function split({ mask, value }: MaskedValue, { values, free }: Rest): readonly MaskedValue[] {
  const [first] = values;
  if (first === undefined) return [{ mask, value }];
  // First the bits that all of them agree in: one pair for each serves them all.
  const shared = free.filter((bit) => values.every((one) => ((one ^ first) & bit) === 0));
  const differing = free.filter((bit) => !shared.includes(bit));
  const found: MaskedValue[] = [];
  let known = { mask, value };
  for (const bit of shared) {
    const kept = first & bit;
    found.push({ mask: known.mask | bit, value: known.value | (bit ^ kept) });
    known = { mask: known.mask | bit, value: known.value | kept };
  }
  const [bit, ...others] = differing.reverse();
  if (bit === undefined) return found;
  for (const kept of [0, bit]) {
    const half = values.filter((one) => (one & bit) === kept);
    const from = { mask: known.mask | bit, value: known.value | kept };
    found.push(...split(from, { values: half, free: others.toReversed() }));
  }
  return found;
}
