/** Order statistics of samples, in the unit of the samples. */

export interface Summary {
  readonly runs: number;
  readonly median: number;
  readonly p95: number;
  readonly min: number;
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((one, other) => one - other);
  const at = (fraction: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
  return { runs: sorted.length, median: at(0.5), p95: at(0.95), min: at(0) };
}

/** Runs every side once per round, each round starting with another side, so that what else the machine does meets all alike. */
export async function interleave<Side extends string>(
  sides: Readonly<Record<Side, () => Promise<number>>>,
  options: { readonly rounds: number; readonly warmUp: number },
): Promise<Readonly<Record<Side, Summary>>> {
  const names = Object.keys(sides) as Side[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    Side,
    number[]
  >;
  for (let round = -options.warmUp; round < options.rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round + options.warmUp) % names.length];
      if (name === undefined) continue;
      const taken = await sides[name]();
      if (round >= 0) samples[name].push(taken);
    }
  }
  return Object.fromEntries(names.map((name) => [name, summarize(samples[name])])) as Record<
    Side,
    Summary
  >;
}
