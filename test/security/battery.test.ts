/** The escape battery: no probe gets out of a task. Requires: root, gcc. */
import { describe, expect, it } from 'vitest';
import { optionsOf, useBattery } from '../support/use-battery.ts';
import { allProbes } from './probes/all-probes.ts';

const battery = useBattery();

describe('in a task', () => {
  for (const probe of allProbes) {
    it(`${probe.group}: ${probe.name}`, optionsOf(probe), async () => {
      expect(await battery.run(probe, 'stackshim')).toBe('held');
    });
  }
});
