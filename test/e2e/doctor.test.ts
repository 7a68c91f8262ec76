/** `stackshim doctor` on this host, and as a user who cannot run tasks. */
import { expect, it } from 'vitest';
import type { Diagnosis } from '../../src/doctor/diagnose-host.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { env } = useInstallation();
const asNobody = { through: ['unshare', '--user', '--'] };

it('reports that tasks can run, and lists what it checked', async () => {
  const { status, stdout, stderr } = await runCli(['doctor'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^STATUS {3}CHECK +FINDING\nok +root +running as root\n/);
  expect(stdout).toMatch(/^(ok|warn) +runtime runc +runc \d/m);
  expect(stdout.endsWith('\ntasks can run on this host\n')).toBe(true);
});

it('reports the same as JSON', async () => {
  const { status, stdout } = await runCli(['doctor', '--json'], { env });
  const diagnosis: Diagnosis = JSON.parse(stdout);
  expect(status).toBe(0);
  expect(diagnosis.canRunTasks).toBe(true);
  expect(diagnosis.checks).toContainEqual({
    name: 'root',
    status: 'ok',
    message: 'running as root',
    required: true,
  });
  const unhinted = diagnosis.checks.filter(
    ({ status: s, hint }) => (s === 'ok') !== (hint === undefined),
  );
  expect(unhinted).toEqual([]);
});

it('fails and names what is missing if no task can run', async () => {
  const { status, stdout } = await runCli(['doctor'], { env, ...asNobody });
  expect(status).toBe(1);
  expect(stdout).toMatch(/^fail +root +not running as root$/m);
  expect(stdout).toMatch(/^root +run it as root/m);
  expect(stdout).toMatch(/\ntasks cannot run on this host: root(, .+)?\n$/);
  const json = await runCli(['doctor', '--json'], { env, ...asNobody });
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ canRunTasks: false });
});
