/** docs/security.md lists exactly the probes of the battery, as they are. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { allHostProbes } from '../security/host-probes/all-host-probes.ts';
import { allProbes } from '../security/probes/all-probes.ts';
import {
  describeProbe,
  replaceHostProbeTable,
  SECURITY_DOC,
  toHostProbeTable,
  verdictsInDoc,
} from '../security/support/probe-table.ts';

const document = readFileSync(SECURITY_DOC, 'utf8');

it('docs/security.md has a row for each probe, with the probe’s texts', () => {
  const lines = document.split('\n');
  const missing = allProbes.filter((probe) => {
    const { before, after } = describeProbe(probe);
    return !lines.some((line) => line.startsWith(`${before} held | `) && line.endsWith(after));
  });
  expect(missing.map(({ name }) => name)).toEqual([]);
});

it('docs/security.md has no row for a removed probe', () => {
  // The document groups them.
  const names = allProbes.map(({ name }) => name);
  expect([...verdictsInDoc(document).keys()].sort()).toEqual(names.sort());
});

it('docs/security.md states the right counts', () => {
  const verdicts = [...verdictsInDoc(document).values()];
  const held = verdicts.filter(([, docker]) => docker === 'held').length;
  expect(document).toContain(
    `Of ${allProbes.length} probes stackshim held ${allProbes.length}, \`docker run\` ${held} `,
  );
});

it('there are at least 199 probes with different names', () => {
  expect(new Set(allProbes.map(({ name }) => name)).size).toBe(allProbes.length);
  expect(allProbes.length).toBeGreaterThanOrEqual(199);
});

it('docs/security.md contains the table of host probes', () => {
  const table = toHostProbeTable(allHostProbes);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(SECURITY_DOC, replaceHostProbeTable(document, table));
  }
  expect(readFileSync(SECURITY_DOC, 'utf8')).toContain(table);
  expect(new Set(allHostProbes.map(({ name }) => name)).size).toBe(allHostProbes.length);
});
