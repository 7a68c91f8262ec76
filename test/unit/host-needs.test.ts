/** The set-up names each service that a package of its would start: it must not run on the machine of whoever runs the tests. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { fullTestNeeds, storeNeeds, testNeeds } from '../../scripts/steps/host-needs.mjs';

/** A service that is enabled when its package is installed; templates are not. */
const SERVICE = /^(?:\/usr)?\/lib\/systemd\/system\/[^/@]+\.service$/;

/** The services of an installed package; of one that is not installed nothing is known. */
function servicesOf(debianPackage: string): readonly string[] {
  const list = `/var/lib/dpkg/info/${debianPackage}.list`;
  const files = existsSync(list) ? readFileSync(list, 'utf8').split('\n') : [];
  return files
    .filter((file) => SERVICE.test(file) && existsSync(file))
    .filter((file) => /^\[Install\]$/m.test(readFileSync(file, 'utf8')))
    .map((file) => basename(file));
}

// Of systemd's own services the machine has what it needs.
const needs = [...storeNeeds, ...testNeeds, ...fullTestNeeds].filter(
  (need) => need.package !== 'systemd',
);

it.each(needs)('$package', (need) => {
  expect(need.services ?? []).toEqual(expect.arrayContaining([...servicesOf(need.package)]));
});
