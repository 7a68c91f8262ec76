/** The shipped units on a machine with systemd. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { layoutFrom } from '../../src/core/layout.ts';
import { startCli } from '../support/cli/run-cli.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { INSTALLED, showUnit, systemctl, units, useShippedUnits } from './support/shipped-units.ts';

const services = units.filter((unit) => unit.endsWith('.service'));

useShippedUnits();
beforeAll(async () => {
  await installBusyboxStack(layoutFrom({}, process.env));
});

it.each(units)('%s loads without unknown settings', (unit) => {
  expect(showUnit(unit, 'LoadState')).toBe('loaded');
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

it('the timer starts and has a next time', () => {
  systemctl('start', 'stackshim-update.timer');
  expect(showUnit('stackshim-update.timer', 'ActiveState')).toBe('active');
  expect(showUnit('stackshim-update.timer', 'NextElapseUSecRealtime')).not.toBe('');
});

it('every service of a timer or of the machine names an existing program', () => {
  for (const service of services) expect(showUnit(service, 'ExecStart')).toContain(INSTALLED);
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
  expect(showUnit('stackshim-reap.service', 'ActiveState')).toBe('active');
  expect(showUnit('stackshim-reap.service', 'NRestarts')).toBe('0');
});
