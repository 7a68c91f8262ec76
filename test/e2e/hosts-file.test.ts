/** A task's own /etc/hosts, whatever the image has there, and whatever else the task mounts. Requires: root. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar, type SmallTarEntry } from '../support/images/small-tar.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';

const { layout, env } = useInstallation([STORED]);
const folder = mkdtempSync('/var/tmp/stackshim-hosts-');
afterAll(() => rmSync(folder, { recursive: true }));
const onHost = runtimesUnderTest(folder);
const runtimes = [...onHost, { name: 'gVisor', path: 'runsc' }];

/** What each image has at /etc/hosts. */
const IMAGES: Readonly<Record<string, readonly SmallTarEntry[]>> = {
  file: [{ path: 'etc/hosts', content: 'of the image\n' }],
  nothing: [],
  link: [
    { path: 'etc/hosts', kind: 'symlink', linkTarget: '../var/hosts' },
    { path: 'var/hosts', content: 'of the image\n' },
  ],
  alias: [
    { path: 'etc/hosts', content: 'of the image\n' },
    { path: 'alias', kind: 'symlink', linkTarget: 'etc' },
  ],
};

beforeAll(async () => {
  writePolicy(layout, { allow: { runtimes: ['runc', ...runtimes.map(({ path }) => path)] } });
  for (const [name, entries] of Object.entries(IMAGES)) {
    const directory = `${folder}/${name}`;
    await writeSmallOciLayout(directory, { layers: [await makeBusyboxTar(), makeTar(entries)] });
    const { status } = await runCli(['stack', 'import', name, `oci:${directory}`], { env });
    expect(status).toBe(0);
  }
});

const run = async (...args: string[]) => {
  const { status, stdout, stderr } = await runCli(['run', '--hostname', 'box', ...args], { env });
  return { status, stdout, stderr };
};

const OWN = [
  '127.0.0.1 localhost',
  '::1 localhost ip6-localhost ip6-loopback',
  '127.0.1.1 box',
  '',
];
const SHOWN = { status: 0, stdout: OWN.join('\n'), stderr: '' };

describe.each(runtimes)('with $name', ({ path }) => {
  it.each(Object.keys(IMAGES))('replaces what the image has: %s', async (image) => {
    expect(await run('--runtime', path, image, 'cat', '/etc/hosts')).toEqual(SHOWN);
  });

  it('cannot be written or removed', async () => {
    const change = 'echo 1.2.3.4 bank >> /etc/hosts; rm -f /etc/hosts; cat /etc/hosts';
    const { stdout } = await run('--runtime', path, 'file', 'sh', '-c', change);
    expect(stdout).toBe(SHOWN.stdout);
  });
});

it.each(onHost)(
  'with $name a task that may mount can bind the folder of its hosts file',
  async ({ path }) => {
    const bind = 'mkdir /m; mount --bind /etc /m && grep root /m/group && cat /etc/hosts';
    const args = ['--runtime', path, '--cap-add', 'SYS_ADMIN', 'file', 'sh', '-c', bind];
    expect(await run(...args)).toMatchObject({ status: 0, stdout: `root:x:0:\n${SHOWN.stdout}` });
  },
);

it.each(['/etc', '/alias'])('is seen in a folder of the task’s own at %s', async (target) => {
  expect(await run('--tmpfs', target, 'alias', 'cat', '/etc/hosts')).toEqual(SHOWN);
});

it('is the task’s own bind there', async () => {
  writeFileSync(`${folder}/hosts`, 'of the caller\n');
  const bind = `${folder}/hosts:/etc/hosts:ro`;
  expect(await run('-v', bind, 'file', 'cat', '/etc/hosts')).toEqual({
    ...SHOWN,
    stdout: 'of the caller\n',
  });
});

it('stays when the host’s mounts of the task are detached, where mounts are shared', async () => {
  const start = `${STACKSHIM} run -d --hostname box file sleep 1000`;
  // In the new namespace every mount passes on what happens to it; the host's does not always.
  const script = `id=$(${start}) && ${STACKSHIM} exec $id -- cat /etc/hosts; ${STACKSHIM} rm -f $id`;
  const args = ['--mount', '--propagation', 'shared', 'sh', '-c', script];
  const { stdout } = await promisify(execFile)('unshare', args, {
    env: { ...process.env, ...env },
  });
  expect(stdout.startsWith(SHOWN.stdout)).toBe(true);
});
