/**
 * Each probe of the battery escapes from a container without protection: an attack that could never succeed proves nothing.
 * Probes that would change this host run in a virtual machine (STACKSHIM_TEST_VM). Requires: root, gcc.
 */
import { describe, expect, it } from 'vitest';
import { allProbes } from './probes/all-probes.ts';
import { optionsOf, useBattery } from './support/use-battery.ts';

const battery = useBattery();
const isVirtualMachine = process.env['STACKSHIM_TEST_VM'] !== undefined;

describe('in an open container', () => {
  for (const probe of allProbes) {
    if (probe.proveIn === 'vm' && !isVirtualMachine) continue;
    it(`${probe.group}: ${probe.name}`, optionsOf(probe), async () => {
      expect(await battery.run(probe, 'open')).toBe('through');
    });
  }
});
