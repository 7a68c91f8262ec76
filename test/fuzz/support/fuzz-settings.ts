/** The number of cases and the seed: constant except in the full run. */
import fc from 'fast-check';
import { isFullRun } from '../../support/timing/full-run.ts';
import { mixSeed } from './fuzz-random.ts';

const given = process.env['STACKSHIM_FUZZ_SEED'];
const FIXED_SEED = 20_260_101;

/** The full run uses a new seed, and prints it. */
export const fuzzSeed =
  given !== undefined ? Number(given) : isFullRun ? mixSeed(Date.now()) : FIXED_SEED;

/** Configures fast-check for a file; it prints the seed of a failing property. */
export function configureProperties(): void {
  fc.configureGlobal({ numRuns: isFullRun ? 2000 : 200, seed: fuzzSeed });
}
