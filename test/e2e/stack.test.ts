/** `stackshim stack build`, `ls` and `show`: real builds, their output, and that a failed build changes nothing. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { BuildResult } from '../../src/build/build-stack.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import type { StackDetails, StackSummary } from '../../src/store/stacks/list-stacks.ts';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { openTerminalSession } from '../support/cli/terminal-session.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const lab = useBuildLab();
const { layout, env } = lab;
const cli = (...args: readonly string[]) => runCli(args, { env });

const folder = mkdtempSync('/var/tmp/stackshim-empty-');
const empty = join(folder, 'empty');
mkdirSync(empty);
afterAll(() => rmSync(folder, { recursive: true }));

/** Erases a line of progress, to draw it again. */
const DRAWN_AGAIN = '\u001b[2K\u001b[1A\u001b[2K\u001b[G';
const SHOW_CURSOR = '\u001b[?25h';

const SMOKE = `LABEL io.stackshim.smoke='["test", "-e", "/made"]'`;
const DESCRIPTION = 'LABEL io.stackshim.description="a stack of the tests"';
const SOUND = [...BUSYBOX_IMAGE, 'RUN echo from the build && echo 1 > /made', SMOKE, DESCRIPTION];
const current = () => readCurrentGeneration(layout)?.stacks ?? {};

describe('stack build', () => {
  it('makes a stack of the folder, prints its progress on stderr and the outcome on stdout', async () => {
    const { status, stdout, stderr } = await cli('stack', 'build', lab.writeStack('sound', SOUND));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^sound@rev:1 sha256:[0-9a-f]{64} built\n$/);
    const steps = stderr.split('\n').filter((line) => line.startsWith('- '));
    expect(steps).toEqual([
      '- build sound',
      '- export sound',
      '- import sound',
      '- smoke-test sound',
      '- make revision 1 current',
    ]);
    expect(stderr).toMatch(/^ {4}from the build$/m);
    expect(stderr).toMatch(/^ {4}layer 1 of 1: \d[\d.]* [KM]iB$/m);
    expect(stderr).not.toContain('\u001b');
    expect(await cli('run', 'sound', 'cat', '/made')).toMatchObject({ status: 0, stdout: '1\n' });
  });

  it('with --if-changed builds only what changed, and prints the outcome as JSON', async () => {
    const build = async (directory: string): Promise<BuildResult> => {
      const { stdout } = await cli('stack', 'build', directory, '--if-changed', '--json');
      return JSON.parse(stdout);
    };
    const directory = lab.writeStack('changing', SOUND, { extra: 'one' });
    expect(await build(directory)).toMatchObject({
      status: 'built',
      stack: 'changing',
      revision: 1,
      smoke: { verdict: 'succeeded', removed: true },
    });
    expect(await build(directory)).toMatchObject({ status: 'unchanged', revision: 1, smoke: null });
    lab.writeStack('changing', SOUND, { extra: 'two' });
    expect(await build(directory)).toMatchObject({ status: 'built', revision: 2 });
  });

  it('tests a stack that needs a bundle template, which tasks get only if the policy allows it', async () => {
    const opens = `LABEL io.stackshim.smoke='["sh", "-c", "exec 3<> /dev/fuse"]'`;
    const bundle = 'LABEL io.stackshim.bundle=fuse';
    const directory = lab.writeStack('mounting', [...BUSYBOX_IMAGE, opens, bundle]);
    expect(await cli('stack', 'build', directory)).toMatchObject({ status: 0 });
    const refused = await cli('run', 'mounting', 'true');
    expect(refused.status).toBe(125);
    expect(refused.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
    expect(await cli('run', '--bundle', 'default', 'mounting', 'true')).toMatchObject({
      status: 0,
    });
    // An imported stack chooses no template for itself.
    const archive = join(folder, 'mounting.tar');
    expect((await cli('stack', 'export', 'mounting', archive)).status).toBe(0);
    const imported = await cli('stack', 'import', 'foreign', `oci-archive:${archive}`);
    expect(imported.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
    expect(imported.status).toBe(1);
  });

  it('rewrites its progress in place on a terminal', async () => {
    const directory = lab.writeStack('shown', SOUND);
    const session = openTerminalSession(`${STACKSHIM} stack build ${directory}`, env);
    await session.shown(/- build shown\r\n/);
    await session.shown(`${DRAWN_AGAIN}    `);
    const { before } = await session.shown(/shown@rev:1 sha256:\S+ built\r\n/);
    // The outcome stands alone on its line, and the cursor is shown again.
    expect(before).toMatch(/- make revision 1 current\r\n/);
    expect(before.endsWith(SHOW_CURSOR)).toBe(true);
    expect(await session.ended).toBe(0);
  });

  it('shows the output of a smoke command that failed, and keeps the current revision', async () => {
    await cli('stack', 'build', lab.writeStack('failing', SOUND));
    const failing = `LABEL io.stackshim.smoke='["sh", "-c", "echo out; echo err >&2; exit 3"]'`;
    const directory = lab.writeStack('failing', [...SOUND, failing]);
    const { status, stdout, stderr } = await cli('stack', 'build', directory);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(
      '\nout\nerr\nstackshim: smoke-test failing revision 2: failed: exit 3',
    );
    expect(stderr).toContain('[ERR_STACKSHIM_SMOKE_FAILED]');
    expect(current()).toMatchObject({ failing: 1 });
  });

  it('shows what a step and a smoke command print without its effect on the terminal', async () => {
    // Clears the screen, sets the title, rings, starts a sequence with one byte of C1, turns text around.
    const effects = ['\u001b[2J', '\u001b]0;title', '\u0007', '\u009b31m', '\u202e'];
    const print = (name: string) =>
      `echo ${Buffer.from(`${name}${effects.join('')}end\n`).toString('base64')} | base64 -d`;
    const smoke = JSON.stringify(['sh', '-c', `${print('smoke')}; exit 3`]);
    const lines = [`RUN ${print('step')}`, `LABEL io.stackshim.smoke='${smoke}'`];
    const directory = lab.writeStack('loud', [...BUSYBOX_IMAGE, ...lines]);
    const { status, stderr } = await cli('stack', 'build', directory);
    expect(status).toBe(2);
    const shown = '\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{202e}end\n';
    for (const name of ['step', 'smoke']) expect(stderr).toContain(`${name}${shown}`);
    expect(effects.filter((effect) => stderr.includes(effect))).toEqual([]);
    const session = openTerminalSession(`${STACKSHIM} stack build ${directory}`, env);
    const { before } = await session.shown('[ERR_STACKSHIM_SMOKE_FAILED]');
    expect(before).toContain('smoke\\u{1b}[2J');
    expect(effects.filter((effect) => before.includes(effect))).toEqual([]);
    expect(await session.ended).toBe(2);
  });

  it('shows the output of the builder if it failed', async () => {
    const directory = lab.writeStack('broken', [...BUSYBOX_IMAGE, 'RUN echo reason && exit 7']);
    const { status, stderr } = await cli('stack', 'build', directory);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ {4}reason$/m);
    expect(stderr).toContain('[ERR_STACKSHIM_BUILD_FAILED]');
    expect(Object.keys(current())).not.toContain('broken');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('is aborted by %s and leaves nothing', async (signal) => {
    const directory = lab.writeStack('endless', [...BUSYBOX_IMAGE, 'RUN echo begun && sleep 1000']);
    const build = startCli(['stack', 'build', directory], { env });
    let told = '';
    build.child.stderr?.on('data', (chunk) => {
      told += chunk;
    });
    await waitUntil(() => told.includes('begun\n'));
    build.child.kill(signal);
    const { status, stdout, stderr } = await build.ended;
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_BUILD_ABORTED]');
    expect(lab.hasWork()).toBe(false);
    expect(Object.keys(current())).not.toContain('endless');
  });

  it.each([
    ['does not exist', () => '/no/such/folder', 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['is a file', () => '/etc/passwd', 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['has no Dockerfile', () => empty, 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [
      'has a name that is not valid for a stack',
      () => lab.writeStack('Not A Name', SOUND),
      2,
      'ERR_STACKSHIM_SPEC_INVALID',
    ],
    [
      'has a base that is not built',
      () => lab.writeStack('floating', ['FROM localhost/no-such-base', SMOKE]),
      3,
      'ERR_STACKSHIM_STACK_NOT_FOUND',
    ],
    [
      'has no smoke command',
      () => lab.writeStack('untested', BUSYBOX_IMAGE),
      2,
      'ERR_STACKSHIM_BUILD_FAILED',
    ],
  ])('refuses a folder that %s', async (_, directory, expected, code) => {
    const before = current();
    const { status, stdout, stderr } = await cli('stack', 'build', directory());
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toMatch(new RegExp(`\\[${code}\\]\n {2}hint: .+\n$`));
    expect(current()).toEqual(before);
  });
});

describe('stack ls and show', () => {
  it('list every stack, for people and as JSON', async () => {
    expect(existsSync(join(layout.root, 'stacks/sound'))).toBe(true);
    const { status, stdout, stderr } = await cli('stack', 'ls');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^NAME +REVISION +IMAGE +AGE +OWN +SHARED +STATE +DESCRIPTION\n/);
    expect(stdout).toMatch(
      /^changing +2 +sha256:[0-9a-f]{12} +\d+[smh] +[\d.]+ [KM]?i?B +[\d.]+ [KM]?i?B +a stack of the tests$/m,
    );
    const listed: readonly StackSummary[] = JSON.parse((await cli('stack', 'ls', '--json')).stdout);
    expect(listed.map(({ name, revision }) => [name, revision])).toEqual(Object.entries(current()));
  });

  it('show everything about one stack', async () => {
    const { status, stdout } = await cli('stack', 'show', 'changing');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^STACK +changing\nrevision +2 of 1, 2\nimage +sha256:[0-9a-f]{64}\n/);
    expect(stdout).toMatch(/^env +PATH=\/bin$/m);
    expect(stdout).toMatch(/^label +io\.stackshim\.smoke=\["test", "-e", "\/made"\]$/m);
    expect(stdout).toMatch(/^LAYER +SIZE +SHARED\n[0-9a-f]{64} +[\d.]+ [KM]iB +(yes|no)\n/m);
    const json = await cli('stack', 'show', 'changing', '--json');
    const details: StackDetails = JSON.parse(json.stdout);
    expect(details).toMatchObject({
      name: 'changing',
      revision: 2,
      revisions: [1, 2],
      source: { kind: 'build' },
      config: { env: ['PATH=/bin'] },
    });
  });

  it('suggest a stack with a similar name', async () => {
    const { status, stderr } = await cli('stack', 'show', 'sond');
    expect(status).toBe(3);
    expect(stderr).toContain('[ERR_STACKSHIM_STACK_NOT_FOUND]\n  hint: did you mean sound?');
  });
});
