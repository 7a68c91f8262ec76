/** `stack import` of root filesystems and `stack build` of several folders, as a person calls them. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const lab = useBuildLab();
const { env, layout } = lab;
const cli = (args: readonly string[], input?: Uint8Array) =>
  runCli(args, input === undefined ? { env } : { env, input });
const DIGEST = /sha256:[0-9a-f]{64}/;
const SMOKE = 'LABEL io.stackshim.smoke=\'["/bin/true"]\'';

it('imports a root filesystem from standard input and from a folder', async () => {
  const tar = await makeBusyboxTar();
  const settings = ['--env', 'A=b c', '--cmd', 'echo "$A"', '--workdir', '/tmp', '--user', 'user'];
  const labels = ['--label', 'io.stackshim.description=from elsewhere'];
  const piped = await cli(['stack', 'import', 'piped', '-', ...settings, ...labels], tar);
  expect(piped).toMatchObject({ status: 0, stdout: expect.stringMatching(/^piped@rev:1 sha256:/) });
  expect(piped.stderr).toContain('read standard input');
  expect((await cli(['run', 'piped'])).stdout).toBe('b c\n');
  expect((await cli(['stack', 'ls'])).stdout).toMatch(/^piped .*from elsewhere$/m);
  const shown = JSON.parse((await cli(['stack', 'show', 'piped', '--json'])).stdout);
  expect(shown).toMatchObject({ source: { kind: 'import', reference: 'standard input' } });

  const folder = `${layout.run}/rootfs`;
  mkdirSync(folder);
  execFileSync(
    'tar',
    ['-x', '-p', '-P', '--numeric-owner', '--delay-directory-restore', '-C', folder],
    { input: tar },
  );
  const imported = await cli(['stack', 'import', 'folder', folder, ...settings, ...labels]);
  expect(DIGEST.exec(imported.stdout)?.[0]).toBe(DIGEST.exec(piped.stdout)?.[0]);
  execFileSync('rm', ['-r', folder]);
});

it('imports all files of a kept task, as `docker export` gives them', async () => {
  await cli(['stack', 'import', 'first', '-'], await makeBusyboxTar());
  const kept = ['--name', 'kept', '--keep', 'first', 'sh', '-c', 'echo made > /made'];
  expect((await cli(['run', ...kept])).status).toBe(0);
  const { stdoutBytes } = await cli(['cp', 'kept:/.', '-']);
  await cli(['rm', 'kept']);
  const imported = await cli(['stack', 'import', 'second', '-'], stdoutBytes);
  expect(imported).toMatchObject({ status: 0, stdout: expect.stringMatching(/^second@rev:1 /) });
  expect((await cli(['run', 'second', 'cat', '/made'])).stdout).toBe('made\n');
});

it.each([
  [['-'], 2, 'ERR_STACKSHIM_IMAGE_INVALID'],
  [['/no/such'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
  [['/etc/hostname'], 2, 'ERR_STACKSHIM_IMAGE_INVALID'],
  [['/dev/null'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
  [['ftp://host/x'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['rootfs:'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['/etc', '--user', 'a b'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['/etc', '--env', '=x'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['/etc', '--cmd', '["x"'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['/etc', '--workdir', 'relative'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  [['oci:/etc', '--user', 'root'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
] as const)('does not import %j', async (args, status, code) => {
  const result = await cli(['stack', 'import', 'refused', ...args]);
  expect(result).toMatchObject({ status, stdout: '' });
  expect(result.stderr).toContain(`[${code}]`);
  expect((await cli(['stack', 'ls'])).stdout).not.toContain('refused');
});

it('leaves nothing of an import that Ctrl-C ends while it waits for its input', async () => {
  const tmp = () => readdirSync(`${layout.root}/tmp`);
  const child = spawn(STACKSHIM, ['stack', 'import', 'stopped', '-'], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const stderr = child.stderr.toArray();
  child.stdin.write(Buffer.alloc(512));
  await waitUntil(() => tmp().length > 0);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(Buffer.concat(await stderr).toString()).toContain('ERR_STACKSHIM_BUILD_ABORTED');
  expect(tmp()).toEqual([]);
});

it('builds several folders, shows plan and outcomes, and exits with 1 if one failed', async () => {
  const base = lab.writeStack('base-1', [...BUSYBOX_IMAGE, SMOKE]);
  const atop = lab.writeStack('atop-1', ['FROM localhost/base-1', SMOKE]);
  const plan = await cli(['stack', 'build', '--plan', atop, base]);
  expect(plan.stdout).toMatch(
    /^ +STACK +BUILT ON +FOLDER\n1 +base-1 +- +\S+\n2 +atop-1 +base-1 \(built first\) +\S+\n$/,
  );
  expect((await cli(['stack', 'ls', '--json'])).stdout).not.toContain('base-1');

  const built = await cli(['stack', 'build', '--jobs', '2', atop, base]);
  expect(built).toMatchObject({ status: 0 });
  expect(built.stdout).toMatch(
    /^STACK +OUTCOME +REVISION +TIME\nbase-1 +built +1 +\S+\natop-1 +built +1 +\S+\n$/,
  );
  expect(built.stderr).toMatch(
    /^\[1\/2\] base-1$[\s\S]*^\[2\/2\] atop-1$[\s\S]*^2 stacks: 2 built$/m,
  );

  writeFileSync(
    `${base}/Dockerfile`,
    [...BUSYBOX_IMAGE, 'LABEL io.stackshim.smoke="exit 7"'].join('\n'),
  );
  const other = lab.writeStack('other-1', [...BUSYBOX_IMAGE, SMOKE]);
  const failed = await cli(['stack', 'build', '--json', atop, base, other]);
  expect(failed.status).toBe(1);
  expect(JSON.parse(failed.stdout)).toMatchObject({
    builds: [
      { stack: 'base-1', status: 'failed', error: { code: 'ERR_STACKSHIM_SMOKE_FAILED' } },
      { stack: 'atop-1', status: 'blocked', blockedBy: 'base-1', revision: null },
      { stack: 'other-1', status: 'built', revision: 1 },
    ],
  });
  expect(failed.stderr).toMatch(/^3 stacks: 1 built, 1 failed, 1 blocked$/m);
  expect(failed.stderr).toMatch(/^stackshim: .*base-1.*\[ERR_STACKSHIM_SMOKE_FAILED\]$/m);
  for (const args of [
    [base, '/no/such'],
    [base, '--jobs', '99'],
    [base, atop, '--jobs', '0'],
  ]) {
    expect((await cli(['stack', 'build', ...args])).status).toBeGreaterThan(1);
  }
});
