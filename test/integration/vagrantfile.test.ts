/** Vagrant accepts the Vagrantfile. Requires: vagrant; no provider and no box. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const project = join(import.meta.dirname, '../..');
const vagrantfile = readFileSync(join(project, 'Vagrantfile'), 'utf8');
const provisioner = 'scripts/provision-guest.sh';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-vagrant-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function validate(text: string): number | null {
  const cwd = join(folder, 'project');
  mkdirSync(join(cwd, 'scripts'), { recursive: true });
  cpSync(join(project, provisioner), join(cwd, provisioner));
  writeFileSync(join(cwd, 'Vagrantfile'), text);
  const env = { ...process.env, VAGRANT_HOME: join(folder, 'home') };
  return spawnSync('vagrant', ['validate', '--ignore-provider'], { cwd, env }).status;
}

it('is accepted by vagrant validate', () => {
  expect(validate(vagrantfile)).toBe(0);
});

it('with an unknown setting would not be accepted', () => {
  expect(validate(vagrantfile.replace('config.vm.box =', 'config.vm.boxx ='))).toBe(1);
});

it('provisions like the test VM, and then with the command in the README', () => {
  expect(vagrantfile).toContain(`path: '${provisioner}'`);
  expect(vagrantfile).toContain('npm run quickstart');
});
