/** Attacks on what root does outside of containers: each fails on stackshim, and succeeds on a program without the protection. Requires: root, gcc. */
import { describe, expect, it } from 'vitest';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { allHostProbes } from './host-probes/all-host-probes.ts';
import { runHostProbe } from './support/run-host-probe.ts';

const installation = useInstallation([STORED]);

describe.each(allHostProbes)('$group: $name', (probe) => {
  const options = probe.timeoutMs === undefined ? {} : { timeout: probe.timeoutMs };

  it('is stopped', options, async () => {
    expect(await runHostProbe(probe, 'attack', installation)).toBe('held');
  });

  it('succeeds without the protection', options, async () => {
    expect(await runHostProbe(probe, 'proof', installation)).toBe('through');
  });
});
