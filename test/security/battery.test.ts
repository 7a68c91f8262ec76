/** The escape battery: no probe escapes from a task. Requires: root, gcc. */
import { describe, expect, it } from 'vitest';
import { TESTED_RUNTIME } from '../support/runtimes/tested-runtime.ts';
import { allProbes } from './probes/all-probes.ts';
import { optionsOf, useBattery } from './support/use-battery.ts';

const battery = useBattery();

const probes = allProbes.filter(
  (probe) => !(TESTED_RUNTIME === 'crun' && probe.onlyAgainst === 'runc'),
);

describe('in a task', () => {
  for (const probe of probes) {
    it(`${probe.group}: ${probe.name}`, optionsOf(probe), async () => {
      expect(await battery.run(probe, 'stackshim')).toBe('held');
    });
  }
});
