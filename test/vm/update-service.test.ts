/** The scheduled update, run by systemd: settings, exit status, output. Requires: a guest that can build. */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { showUnit, useShippedUnits } from './support/shipped-units.ts';

const SERVICE = 'stackshim-update.service';
const SETTINGS = '/etc/default/stackshim';
const DOCKERFILE = [
  ...BUSYBOX_IMAGE,
  'COPY version /version',
  'LABEL io.stackshim.smoke=\'["/bin/true"]\'',
];

const lab = useBuildLab();
const { env } = lab;
useShippedUnits();
beforeAll(() => {
  const settings = Object.entries({ ...env, STACKSHIM_KEEP: '2' });
  const lines = settings.map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(SETTINGS, lines.join(''), { flag: 'wx' });
});
afterAll(() => rmSync(SETTINGS));

const startService = () => spawnSync('systemctl', ['start', SERVICE]).status;
const revisionsOf = async (stack: string): Promise<number[]> => {
  const { stdout } = await runCli(['stack', 'history', stack, '--json'], { env });
  return JSON.parse(stdout).map(({ revision }: { revision: number }) => revision);
};
const journal = () =>
  execFileSync('journalctl', ['--unit', SERVICE, '--output', 'cat'], { encoding: 'utf8' });

it('the update service keeps as many revisions as its settings say, and frees the others', async () => {
  const sound = lab.writeStack('sound', DOCKERFILE, { version: '1' });
  await lab.build(sound);
  for (const version of ['2', '3']) {
    writeFileSync(`${sound}/version`, version);
    expect(startService()).toBe(0);
  }
  expect(showUnit(SERVICE, 'Result')).toBe('success');
  expect(await revisionsOf('sound')).toEqual([3, 2]);
  expect((await lab.run('sound', ['cat', '/version'])).output.stdout).toBe('3');
});

it('the update service fails and names the stack if one cannot be updated; the other stacks are', async () => {
  const broken = lab.writeStack('broken', DOCKERFILE, { version: '1' });
  await lab.build(broken);
  writeFileSync(`${broken}/Dockerfile`, 'FROM scratch\nCOPY nothing /\n');
  lab.writeStack('sound', DOCKERFILE, { version: '4' });
  expect(startService()).toBe(1);
  expect(showUnit(SERVICE, 'Result')).toBe('exit-code');
  expect(journal()).toMatch(/^stackshim: update broken: .*\[ERR_STACKSHIM_BUILD_FAILED\]$/m);
  expect(await revisionsOf('broken')).toEqual([1]);
  expect(await revisionsOf('sound')).toEqual([4, 3]);
});
