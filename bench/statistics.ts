/** Order statistics of samples, in the unit of the samples. */

import { setTimeout as delay } from 'node:timers/promises';

/** By then the kernel has removed namespaces, mounts and cgroups of the previous run. */
const REST_MS = 50;

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

/**
 * Runs every side once per round, in a new random order, with a rest before each run: the kernel cleans up after one run while the next
 * begins, so that a side that always followed the same other one would pay for it.
 */
export async function interleave<Side extends string>(
  sides: Readonly<Record<Side, () => Promise<number>>>,
  options: { readonly rounds: number; readonly warmUp: number },
): Promise<Readonly<Record<Side, Summary>>> {
  const names = Object.keys(sides) as Side[];
  const samples = new Map<Side, number[]>(names.map((name) => [name, []]));
  for (let round = -options.warmUp; round < options.rounds; round += 1) {
    for (const name of shuffled(names)) {
      await delay(REST_MS);
      const taken = await sides[name]();
      if (round >= 0) samples.get(name)?.push(taken);
    }
  }
  const summaries = names.map((name) => [name, summarize(samples.get(name) ?? [])]);
  return Object.fromEntries(summaries) as Record<Side, Summary>;
}

/** The Fisher-Yates shuffle. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}
