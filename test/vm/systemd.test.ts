/** The shipped units on a machine that systemd runs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { layoutFrom } from '../../src/core/layout.ts';
import { installBusyboxStack } from '../support/busybox-stack.ts';
import { STACKSHIM, startCli } from '../support/run-cli.ts';
import { waitUntil } from '../support/wait-until.ts';

const INSTALLED = '/usr/local/bin/stackshim';
const shipped = new URL('../../systemd/', import.meta.url).pathname;
// A timer before its service, which would be started again.
const units = readdirSync(shipped).sort((a, b) => b.localeCompare(a));
const services = units.filter((unit) => unit.endsWith('.service'));

const systemctl = (...args: readonly string[]) =>
  execFileSync('systemctl', args, { encoding: 'utf8' }).trim();
const show = (unit: string, property: string) =>
  systemctl('show', '--value', '--property', property, unit);

beforeAll(async () => {
  for (const unit of units) copyFileSync(`${shipped}${unit}`, `/etc/systemd/system/${unit}`);
  symlinkSync(STACKSHIM, INSTALLED);
  systemctl('daemon-reload');
  await installBusyboxStack(layoutFrom({}, process.env));
});

afterAll(() => {
  for (const unit of units) {
    systemctl('stop', unit);
    rmSync(`/etc/systemd/system/${unit}`);
  }
  rmSync(INSTALLED);
  systemctl('daemon-reload');
});

it.each(units)('%s loads, and nothing in it is unknown', (unit) => {
  expect(show(unit, 'LoadState')).toBe('loaded');
  const { stderr } = runVerify(unit);
  expect(stderr).toBe('');
});

const listCgroups = () =>
  readdirSync('/sys/fs/cgroup', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`);

function runVerify(unit: string): { readonly stderr: string } {
  const output = execFileSync('sh', ['-c', 'systemd-analyze verify "$0" 2>&1', unit], {
    encoding: 'utf8',
  });
  return { stderr: output };
}

it('the timer starts and knows when it is due', () => {
  systemctl('start', 'stackshim-update.timer');
  expect(show('stackshim-update.timer', 'ActiveState')).toBe('active');
  expect(show('stackshim-update.timer', 'NextElapseUSecRealtime')).not.toBe('');
});

it('every service of a timer or of the machine names a program that is there', () => {
  for (const service of services) expect(show(service, 'ExecStart')).toContain(INSTALLED);
});

it('the reaper, in its sandbox, removes the task of a killed shim', async () => {
  systemctl('start', 'stackshim-reap.service');
  const shim = startCli(
    ['run', '--name', 'orphan', 'busybox', 'sh', '-c', 'echo runs; exec sleep 3600'],
    { env: {} },
  );
  await shim.printed('runs');
  const ofTask = () => listCgroups().filter((path) => path.endsWith('/task-orphan'));
  expect(ofTask()).toHaveLength(1);
  shim.child.kill('SIGKILL');
  await once(shim.child, 'exit');
  await waitUntil(() => readdirSync('/run/stackshim/tasks').length === 0);
  expect(ofTask()).toEqual([]);
  expect(show('stackshim-reap.service', 'ActiveState')).toBe('active');
  expect(show('stackshim-reap.service', 'NRestarts')).toBe('0');
});
