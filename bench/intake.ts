/** The intake of a queue worker: fairness among tenants, latency, memory and idle time, on a store of its own. */
import { execFileSync } from 'node:child_process';
import type { Figure } from './figures.ts';

export interface IntakeFigures {
  readonly kind: string;
  readonly lanes: number;
  /** With so many parked lanes. */
  readonly idle: { readonly megabytes: number; readonly cpuPercent: number };
  /** At which part of the whole time the tenants of 100 and of 10 jobs beside one of 10,000 are done. */
  readonly fairness: { readonly middle: number; readonly small: number };
  /** The same for 400 jobs of 5 ms beside 40 of 500 ms. */
  readonly shortBesideLong: number;
  /** Milliseconds from the call that adds a job to its handler. */
  readonly addToTaken: { readonly p50: number; readonly p99: number };
}

const STORES = ['redis', 'postgres'] as const;

/** In a process of the executable's engine for each store. */
export function measureIntake(): readonly IntakeFigures[] {
  const project = new URL('../../', import.meta.url).pathname;
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const bun = `${project}node_modules/@oven/bun-linux-${architecture}/bin/bun`;
  return STORES.map((kind) => {
    const args = ['--conditions=source', `${project}bench/time-intake.mjs`, kind];
    return JSON.parse(execFileSync(bun, args, { encoding: 'utf8' }));
  });
}

export const toIntakeFigures = (measured: readonly IntakeFigures[]): readonly Figure[] =>
  measured.flatMap(({ kind, lanes, idle, fairness, shortBesideLong, addToTaken }) => [
    part(
      `intake on ${kind}, ${lanes} lanes: 100 jobs beside 10,000 are done at`,
      fairness.middle,
      0.1,
    ),
    part('  10 jobs beside 10,000', fairness.small, 0.1),
    part('  400 jobs of 5 ms beside 40 of 500 ms', shortBesideLong, 0.3),
    {
      name: '  from add to taken, p50 and p99',
      value: `${addToTaken.p50.toFixed(1)}, ${addToTaken.p99.toFixed(1)} ms`,
      target: '',
      met: null,
    },
    {
      name: `  memory of ${lanes} lanes that wait`,
      value: `${idle.megabytes.toFixed(0)} MB`,
      target: '<= 60 MB',
      met: idle.megabytes <= 60,
    },
    {
      name: '  processor time meanwhile',
      value: `${idle.cpuPercent.toFixed(2)} %`,
      target: '<= 1 %',
      met: idle.cpuPercent <= 1,
    },
  ]);

const part = (name: string, value: number, most: number): Figure => ({
  name,
  value: `${value.toFixed(3)} of the time`,
  target: `<= ${most}`,
  met: value <= most,
});
