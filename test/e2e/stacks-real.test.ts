/** Real stacks from their own Dockerfiles (two Debian bases, four languages and a FUSE mount, each with its test program in test/stacks/), the quickstart, and the commands that README.md shows after it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildStack } from '../../scripts/steps/build-stack.mjs';
import { testContract, testIronProgram } from '../../scripts/steps/test-contract.mjs';
import { testStack } from '../../scripts/steps/test-stack.mjs';
import { startTlsServer } from '../../scripts/steps/tls-server.mjs';
import type { StackBuild } from '../../src/build/build-stacks.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { useLeakCheck } from '../support/host/leak-check.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  prepareLayout,
} from '../support/installation/test-layout.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { BUILT } from '../support/stacks/build-lab.ts';
import { readTranscripts, toPattern } from './support/shell-transcript.ts';

const BUILD_MS = 600_000;
const MIB = 1024 * 1024;

const folder = makeInstallationFolder('stacks');
const layout = layoutBelow(folder);
const env = envOf(layout);
let tls: Awaited<ReturnType<typeof startTlsServer>>;

beforeAll(async () => {
  mkdirSync(join(folder, 'tls'));
  chmodSync(join(folder, 'tls'), 0o755);
  prepareLayout(layout);
  tls = await startTlsServer(join(folder, 'tls'));
});

afterAll(async () => {
  await tls.close();
  disposeInstallation(layout);
  rmSync(folder, { recursive: true });
});

useLeakCheck({ roots: () => [layout.root, layout.run], allow: [BUILT] });

const overlay = (path: string) => fileURLToPath(new URL(`../../overlay/${path}`, import.meta.url));

it('a base is made from Debian packages', { timeout: BUILD_MS }, async () => {
  const { status, stdout, stderr } = await runCli(['stack', 'build', overlay('base/debian-13')], {
    env,
  });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^debian-13@rev:1 sha256:[0-9a-f]{64} built\n$/);
});

describe('npm run quickstart', { timeout: BUILD_MS }, () => {
  const script = fileURLToPath(new URL('../../scripts/quickstart.mjs', import.meta.url));
  const quickstart = () =>
    promisify(execFile)(process.execPath, [script], { env: { ...process.env, ...env } });

  it('builds what is missing, and shows a task and its result', async () => {
    const { stdout, stderr } = await quickstart();
    expect(outcomes(stderr)).toEqual(['debian-13@rev:1 unchanged', 'python-3.13@rev:1 built']);
    expectTask(stdout);
  });

  it('repeats only the task when everything is built', async () => {
    const { stdout, stderr } = await quickstart();
    expect(outcomes(stderr)).toEqual(['debian-13@rev:1 unchanged', 'python-3.13@rev:1 unchanged']);
    const steps = stderr.matchAll(/^==> (.+)\n {4}(.+), [\d.]+ s$/gm);
    expect(Object.fromEntries([...steps].map(([, step, end]) => [step, end]))).toEqual({
      'host packages': 'nothing to install',
      'OCI runtime': expect.stringMatching(/ is (there|patched)$/),
      'npm packages': 'up to date',
      'library (dist/lib)': 'up to date',
      'executable (dist/stackshim)': 'up to date',
      'manual pages (dist/man)': 'up to date',
    });
    expectTask(stdout);
  });

  /** The outcomes of the stacks. */
  const outcomes = (stderr: string) =>
    [...stderr.matchAll(/^(\S+@rev:\d+) sha256:[0-9a-f]{64} (\w+)$/gm)].map(
      ([, revision, outcome]) => `${revision} ${outcome}`,
    );

  function expectTask(stdout: string): void {
    const [, id] = /^Hello, world, from task (\w+)$/m.exec(stdout) ?? [];
    const [record = ''] = /^\{"id":.*\}$/m.exec(stdout) ?? [];
    expect(JSON.parse(record)).toMatchObject({
      id,
      stack: 'python-3.13',
      verdict: 'succeeded',
      removed: true,
    });
  }
});

it('npm run quickstart:worker shows a job that a worker ran, and leaves nothing behind', {
  timeout: BUILD_MS,
}, async () => {
  const script = fileURLToPath(new URL('../../scripts/quickstart-worker.mjs', import.meta.url));
  const before = readdirSync(layout.root);
  const { stdout } = await promisify(execFile)(process.execPath, [script, 'python-3.13'], {
    env: { ...process.env, ...env },
  });
  expect(stdout).toMatch(/^ {2}python-3\.13 +Python 3\.13\.\d+: the sum is 15$/m);
  expect(stdout).toContain('The worker and its Redis were stopped');
  expect(readdirSync(layout.root).sort()).toEqual(before.sort());
});

describe('README.md after the quickstart', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [bin, place] = [join(folder, 'bin'), join(folder, 'readme')];
  const shellEnv = { ...process.env, ...env, PATH: `${bin}:${process.env['PATH']}` };

  /** Resolves to the shell's output. The link is made elsewhere than in the document; nothing else is made in this checkout. */
  async function type(command: string): Promise<string> {
    const typed = command.replace('/usr/local/bin', bin);
    const cwd = typed === command ? place : root;
    const shell = ['-c', `exec 2>&1\n${typed}`];
    return (await promisify(execFile)('/bin/sh', shell, { cwd, env: shellEnv })).stdout;
  }

  /** The process of a task that has started. */
  async function begin(args: readonly string[]): Promise<ChildProcess> {
    const child = spawn(STACKSHIM, args, { env: shellEnv, stdio: 'ignore' });
    const listed = async () => JSON.parse(await type('stackshim ps --json'));
    const running = { tasks: [{ state: 'running' }] };
    await expect.poll(listed, { timeout: 60_000 }).toMatchObject(running);
    return child;
  }

  it('shows the output of its commands as it is', { timeout: BUILD_MS }, async () => {
    for (const path of [bin, place]) mkdirSync(path);
    const background: Promise<unknown>[] = [];
    const [first = [], ...session] = readTranscripts(readme);
    for (const { command, prints } of [...session, first].flat()) {
      const [, inBackground] = /^stackshim (.*) &$/.exec(command) ?? [];
      if (inBackground !== undefined) {
        background.push(once(await begin(inBackground.split(' ')), 'close'));
        continue;
      }
      if (prints.some((line) => line.includes('orphaned'))) {
        const owner = await begin(['run', '--name', 'orphan', 'python-3.13', '--', 'sleep', '600']);
        owner.kill('SIGKILL');
        await once(owner, 'close');
      }
      expect(await type(command), command).toMatch(toPattern(prints));
    }
    await Promise.all(background);
  });

  it('shows a result as it is', () => {
    const [, json = ''] = /```json\n([^`]*)```/.exec(readme) ?? [];
    const shown = JSON.parse(json);
    const numbers = (fields: object) =>
      Object.fromEntries(Object.keys(fields).map((name) => [name, expect.any(Number)]));
    expect(JSON.parse(readFileSync(join(place, 'result.json'), 'utf8'))).toMatchObject({
      ...shown,
      id: expect.stringMatching(/^[a-z0-9]{20}$/),
      image: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      phasesMs: numbers(shown.phasesMs),
      usage: numbers(shown.usage),
    });
  });
});

it('several stacks are built side by side, each after its base', {
  timeout: 2 * BUILD_MS,
}, async () => {
  // `fuse` asks for a bundle template of its own: a build does not ask the policy.
  const own = ['ruby-3.3', 'node-20', 'java-17', 'fuse'].map((name) => overlay(`stacks/${name}`));
  const args = ['stack', 'build', '--json', ...own, overlay('base/debian-12')];
  const { status, stdout, stderr } = await runCli(args, { env });
  expect(status, stderr).toBe(0);
  const { builds } = JSON.parse(stdout);
  const outcomes = builds.map((one: StackBuild) => `${one.stack}: ${one.status}`).sort();
  expect(outcomes).toEqual([
    'debian-12: built',
    'fuse: built',
    'java-17: built',
    'node-20: built',
    'ruby-3.3: built',
  ]);
});

describe('a stack uses its standard library, compiled parts, TLS, time zones and a payload, and runs the programs of the contract', () => {
  async function test(stack: string) {
    const tools = { executable: STACKSHIM, env, tls };
    const printed = await testStack(stack, tools);
    await testContract(stack, tools);
    await testIronProgram(stack, tools);
    return printed;
  }

  it.each(['python-3.13', 'ruby-3.3', 'node-20'])('%s', async (stack) => {
    await test(stack);
  });

  it('java-17, on the older base, adapts its memory and processors to the limits', async () => {
    const printed = await test('java-17');
    expect(printed).toMatchObject({ version: '17', cpus: 1, memoryBytes: expect.any(Number) });
    // A quarter of the limit of 512 MiB, which it treats as its memory.
    expect(printed['memoryBytes']).toBeLessThanOrEqual(128 * MIB);
  });
});

it('a package that the archive does not have is named', { timeout: BUILD_MS }, async () => {
  const lines = ['FROM localhost/debian-13', 'RUN stackshim-install no-such-package'];
  const [typed = '', stepped = ''] = ['wanting', 'lacking'].map((name) => {
    const directory = join(folder, name);
    mkdirSync(directory);
    writeFileSync(join(directory, 'Dockerfile'), `${lines.join('\n')}\n`);
    return directory;
  });
  const stack = { name: 'lacking', path: stepped, base: 'debian-13' };
  const refusal = { message: 'the archive no longer has no-such-package' };
  const [{ status, stderr }] = await Promise.all([
    runCli(['stack', 'build', typed], { env }),
    expect(buildStack(stack, { executable: STACKSHIM, env })).rejects.toMatchObject(refusal),
  ]);
  expect(status).toBe(2);
  expect(stderr).toContain('run buildah: exit 100: E: Unable to locate package no-such-package');
});

describe('a stack that mounts with FUSE', { timeout: BUILD_MS }, () => {
  it('gives tasks its bundle template only if the policy allows it', async () => {
    const refused = await runCli(['run', 'fuse', 'true'], { env });
    expect(refused.status).toBe(125);
    expect(refused.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
  });

  it('reads a squashfs file through squashfuse, in a user namespace of its own', async () => {
    const policy = { allow: { bundles: ['default', 'fuse'] } };
    writePolicy(layout, policy);
    await testStack('fuse', { executable: STACKSHIM, env, tls });
    const shown = await runCli(['stack', 'show', 'fuse'], { env });
    expect(shown.stdout).toMatch(/bundle +fuse: .*masked and read-only paths do not hold/);
  });
});

it('stacks on one base share its layer', async () => {
  const { stdout } = await runCli(['stack', 'ls', '--json'], { env });
  const listed: { name: string; ownBytes: number; sharedBytes: number }[] = JSON.parse(stdout);
  const shared = new Map(listed.map(({ name, sharedBytes }) => [name, sharedBytes]));
  expect([...shared.keys()].sort()).toEqual([
    'debian-12',
    'debian-13',
    'fuse',
    'java-17',
    'node-20',
    'python-3.13',
    'ruby-3.3',
  ]);
  for (const { name, sharedBytes } of listed) {
    expect(sharedBytes, name).toBe(
      shared.get(/^(java-17|debian-12)$/.test(name) ? 'debian-12' : 'debian-13'),
    );
  }
});
