/** Every parser of outside data, on almost valid inputs: it returns a value or a typed error, soon, in little memory. */
import { afterAll, describe, expect, it } from 'vitest';
import { isFullRun } from '../support/timing/full-run.ts';
import { useFuzzFiles } from './support/fuzz-files.ts';
import { fuzzSeed } from './support/fuzz-settings.ts';
import { acceptSamples, type FuzzTarget, fuzzTarget } from './support/fuzz-target.ts';
import { startWatchdog } from './support/fuzz-watchdog.ts';
import { allTargets } from './targets/all-targets.ts';

const ALL_CASES = isFullRun ? 500_000 : 50_000;
const MEMORY_GROWTH_KIB = 768 * 1024;
const MINUTE = 60_000;

const files = useFuzzFiles();
const watchdog = startWatchdog();
afterAll(() => watchdog.stop());

const targets = allTargets(files);
const weightOf = ({ weight = 1 }: FuzzTarget) => weight;
const allWeight = targets.reduce((sum, target) => sum + weightOf(target), 0);
const casesOf = (target: FuzzTarget) => Math.ceil((ALL_CASES * weightOf(target)) / allWeight);

const { STACKSHIM_FUZZ_CASE: givenCase } = process.env;
const only = givenCase === undefined ? undefined : Number(givenCase);
console.log(`fuzz: seed ${fuzzSeed}, ${targets.length} parsers`);

describe.each(targets.map((target) => [target.name, target] as const))('%s', (_, target) => {
  it('accepts its samples', () => expect(acceptSamples(target)).resolves.toBeUndefined());

  it(
    'returns a value or a typed error',
    async () => {
      const before = process.resourceUsage().maxRSS;
      await fuzzTarget(target, { seed: fuzzSeed, cases: casesOf(target), watchdog, only });
      expect(process.resourceUsage().maxRSS - before).toBeLessThan(MEMORY_GROWTH_KIB);
    },
    30 * MINUTE,
  );
});
