/** Real stacks from their own Dockerfiles: a Debian base, three languages and a FUSE mount, each with its test program (test/stacks/). */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildStack } from '../../scripts/steps/build-stack.mjs';
import { testStack } from '../../scripts/steps/test-stack.mjs';
import { startTlsServer } from '../../scripts/steps/tls-server.mjs';
import type { Layout } from '../../src/core/layout.ts';
import { disposeInstallation } from '../support/dispose-installation.ts';
import { useLeakCheck } from '../support/leak-check.ts';
import { linkPatchedRunc } from '../support/patched-runc.ts';
import { runCli, STACKSHIM } from '../support/run-cli.ts';

const BUILD_MS = 180_000;

const folder = mkdtempSync('/var/tmp/stackshim-stacks-');
// A container's root, which the host does not know, must pass through to its root filesystem.
chmodSync(folder, 0o711);
const layout: Layout = {
  root: join(folder, 'lib'),
  run: join(folder, 'run'),
  policyFile: join(folder, 'policy.json'),
  slots: '/run/lock/stackshim',
};
const env = {
  STACKSHIM_ROOT: layout.root,
  STACKSHIM_RUN: layout.run,
  STACKSHIM_POLICY: layout.policyFile,
};
let tls: Awaited<ReturnType<typeof startTlsServer>>;

beforeAll(async () => {
  for (const path of [layout.root, layout.run, join(folder, 'tls')]) mkdirSync(path);
  chmodSync(join(folder, 'tls'), 0o755);
  linkPatchedRunc(layout);
  tls = await startTlsServer(join(folder, 'tls'));
});

afterAll(async () => {
  await tls.close();
  disposeInstallation(layout);
  rmSync(folder, { recursive: true });
});

/** Kept on purpose: what was built. */
const stored = /^file \S+\/lib\/(build|stacks|images|generations|layers|locks|current)(\/|$)/;
useLeakCheck({ roots: () => [layout.root, layout.run], allow: [stored] });

const overlay = (path: string) => fileURLToPath(new URL(`../../overlay/${path}`, import.meta.url));
const build = (path: string) => runCli(['stack', 'build', overlay(path)], { env });

it('a base is made of Debian packages', { timeout: BUILD_MS }, async () => {
  const { status, stdout, stderr } = await build('base/debian-13');
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^debian-13@rev:1 sha256:[0-9a-f]{64} built\n$/);
});

describe('a stack on it uses its standard library, compiled parts, TLS, time zones and a payload', () => {
  it.each(['python-3.13', 'ruby-3.3', 'node-20'])('%s', { timeout: BUILD_MS }, async (stack) => {
    const { status, stderr } = await build(`stacks/${stack}`);
    expect(status, stderr).toBe(0);
    await testStack(stack, { executable: STACKSHIM, env, tls });
  });
});

it('a package that the archive does not have is named', { timeout: BUILD_MS }, async () => {
  const directory = join(folder, 'wanting');
  mkdirSync(directory);
  const lines = ['FROM localhost/debian-13', 'RUN stackshim-install no-such-package'];
  writeFileSync(join(directory, 'Dockerfile'), `${lines.join('\n')}\n`);
  const { status, stderr } = await runCli(['stack', 'build', directory], { env });
  expect(status).toBe(2);
  expect(stderr).toContain('run buildah: exit 100: E: Unable to locate package no-such-package');
  const stack = { name: 'wanting', path: directory, base: 'debian-13' };
  await expect(buildStack(stack, { executable: STACKSHIM, env })).rejects.toMatchObject({
    message: 'the archive has no longer: no-such-package',
  });
});

describe('a stack that mounts with FUSE', { timeout: BUILD_MS }, () => {
  it('is not built where the policy does not allow its bundle template', async () => {
    const { status, stderr } = await build('stacks/fuse');
    expect(status).toBe(1);
    expect(stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
  });

  it('reads a squashfs file through squashfuse, in a user namespace of its own', async () => {
    const policy = { allow: { bundles: ['default', 'fuse'] } };
    writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
    const { status, stderr } = await build('stacks/fuse');
    expect(status, stderr).toBe(0);
    await testStack('fuse', { executable: STACKSHIM, env, tls });
    const shown = await runCli(['stack', 'show', 'fuse'], { env });
    expect(shown.stdout).toMatch(/bundle +fuse: .*masked and read-only paths do not hold/);
  });
});

it('stacks on one base share its layer', async () => {
  const { stdout } = await runCli(['stack', 'ls', '--json'], { env });
  const listed: { name: string; ownBytes: number; sharedBytes: number }[] = JSON.parse(stdout);
  const base = listed.find(({ name }) => name === 'debian-13');
  expect(listed.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['debian-13', 'fuse', 'node-20', 'python-3.13', 'ruby-3.3']),
  );
  for (const { sharedBytes } of listed) expect(sharedBytes).toBe(base?.sharedBytes);
});
