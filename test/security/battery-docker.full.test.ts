/**
 * The battery in `docker run` with its defaults, beside stackshim; docs/security.md lists the results of both. With UPDATE_DOCS=1 its
 * table is written again. Requires: root, gcc, docker.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { allProbes } from './probes/all-probes.ts';
import {
  replaceProbeTable,
  SECURITY_DOC,
  toProbeTable,
  verdictsInDoc,
} from './support/probe-table.ts';
import { optionsOf, useBattery } from './support/use-battery.ts';

const mayUpdate = process.env['UPDATE_DOCS'] === '1';

const battery = useBattery({ docker: true });
const documented = verdictsInDoc(readFileSync(SECURITY_DOC, 'utf8'));
// A run of some probes keeps the rows of the others.
const seen = new Map<string, readonly string[]>(documented);

describe('in docker, beside a task', () => {
  for (const probe of allProbes) {
    it(`${probe.group}: ${probe.name}`, optionsOf(probe), async () => {
      const verdicts = [await battery.run(probe, 'stackshim'), await battery.run(probe, 'docker')];
      seen.set(probe.name, verdicts);
      expect(verdicts[0]).toBe('held');
      if (!mayUpdate) expect(verdicts).toEqual(documented.get(probe.name));
    });
  }
  afterAll(() => {
    if (!mayUpdate) return;
    const table = toProbeTable(allProbes, seen, battery.dockerVersion());
    writeFileSync(SECURITY_DOC, replaceProbeTable(readFileSync(SECURITY_DOC, 'utf8'), table));
  });
});
