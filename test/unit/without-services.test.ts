/** The set-up keeps packages from starting their services, and leaves an operator's rule alone. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withoutServices } from '../../scripts/steps/without-services.mjs';

let folder: string;
let policy: string;

beforeEach(() => {
  folder = mkdtempSync('/var/tmp/stackshim-policy-');
  policy = `${folder}/policy-rc.d`;
});
afterEach(() => rmSync(folder, { recursive: true }));

/** No unit of this machine has the name: nothing is disabled. */
const services = ['stackshim-none.service'];

it('services are forbidden while packages are installed, and no longer', async () => {
  const installing = withoutServices(
    services,
    () => {
      expect(readFileSync(policy, 'utf8')).toMatch(/^#!\/bin\/sh\n(.+\n)?exit 101\n$/);
      expect(statSync(policy).mode & 0o777).toBe(0o755);
      return Promise.reject(new Error('no network'));
    },
    policy,
  );
  await expect(installing).rejects.toThrow('no network');
  expect(existsSync(policy)).toBe(false);
});

it('a rule of the operator stays', async () => {
  writeFileSync(policy, 'mine');
  const installing = withoutServices(services, () => Promise.reject(new Error('x')), policy);
  await expect(installing).rejects.toThrow('x');
  expect(readFileSync(policy, 'utf8')).toBe('mine');
});

it('packages without services are installed as they are', async () => {
  await withoutServices(
    [],
    () => {
      expect(existsSync(policy)).toBe(false);
      return Promise.resolve();
    },
    policy,
  );
});
