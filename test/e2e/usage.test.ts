/** Help and version, invalid command lines, and messages for users who are not root. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type CliOptions, runCli } from '../support/cli/run-cli.ts';

const folder = mkdtempSync('/var/tmp/stackshim-usage-');
afterAll(() => rmSync(folder, { recursive: true }));

const COMMANDS = [
  'run',
  'stack',
  'code',
  'save',
  'load',
  'ps',
  'kill',
  'reap',
  'doctor',
  'stats',
  'top',
  'events',
  'pause',
  'unpause',
  'update',
  'exec',
  'cp',
  'logs',
  'wait',
  'inspect',
  'rm',
  'verify',
  'migrate',
  'gc',
  'df',
  'worker',
  'queue',
  'completion',
  'man',
];
const env = { STACKSHIM_ROOT: join(folder, 'lib'), STACKSHIM_RUN: join(folder, 'run') };
const cli = (args: readonly string[], options: Partial<CliOptions> = {}) =>
  runCli(args, { env, ...options });

describe('help', () => {
  it('lists every command and no others', async () => {
    const { status, stdout, stderr } = await cli(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [, listed = ''] = stdout.split('\nCommands:\n');
    const names = [...listed.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    expect(names).toEqual([...COMMANDS, 'help']);
  });

  it.each([[[]], [['stack']]])('is shown with an error for a missing command: %j', async (args) => {
    const { status, stdout, stderr } = await cli(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: stackshim /);
  });

  it('describes a command of a group: help stack release ls', async () => {
    const { status, stdout, stderr } = await cli(['help', 'stack', 'release', 'ls']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: stackshim stack release ls /);
  });

  it.each(COMMANDS)('describes the options of %s', async (command) => {
    const { status, stdout, stderr } = await cli([command, '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: stackshim ${command} `));
  });
});

it('--version prints the version', async () => {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { status, stdout } = await cli(['--version']);
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${JSON.parse(manifest).version}\n` });
});

describe('a command line that cannot be parsed', () => {
  const oneError =
    /^stackshim: read command line: .+ \[ERR_STACKSHIM_SPEC_INVALID\]\n {2}hint: (.+)\n$/;

  it.each([
    [['nonsense'], 2, 'run stackshim --help to see the usage'],
    [['px'], 2, 'Did you mean ps? run stackshim --help to see the usage'],
    [['--nonsense', 'ps'], 2, 'run stackshim --help to see the usage'],
    [['ps', '--jsn'], 2, 'Did you mean --json? run stackshim ps --help to see the usage'],
    [['ps', 'extra'], 2, 'run stackshim ps --help to see the usage'],
    [['kill'], 2, 'run stackshim kill --help to see the usage'],
    [['kill', '--stop-timeout'], 2, 'run stackshim kill --help to see the usage'],
    [['reap', '--wait'], 2, 'run stackshim reap --help to see the usage'],
    [['save'], 2, 'run stackshim save --help to see the usage'],
    [['save', 'file'], 2, 'run stackshim save --help to see the usage'],
    [['load', '--kee', 'file'], 2, 'run stackshim load --help to see the usage'],
    [['verify', '--jso'], 2, 'Did you mean --json? run stackshim verify --help to see the usage'],
    [['gc', 'extra'], 2, 'run stackshim gc --help to see the usage'],
    [['df', '--jsn'], 2, 'Did you mean --json? run stackshim df --help to see the usage'],
    [['doctor', '-x'], 2, 'run stackshim doctor --help to see the usage'],
    [['stack', 'nonsense'], 2, 'run stackshim stack --help to see the usage'],
    [['stack', 'build'], 2, 'run stackshim stack --help to see the usage'],
    [['stack', 'show'], 2, 'run stackshim stack --help to see the usage'],
    [['queue', 'add'], 2, 'run stackshim queue --help to see the usage'],
    [['code', 'nonsense'], 2, 'run stackshim code --help to see the usage'],
    [['worker', '--lok', '5s', 'mail'], 2, 'Did you mean --lock?'],
    [['run', '--memry', '64m', 'busybox'], 125, 'Did you mean --memory?'],
  ])('%j gives one error and status %i', async (args, expected, hint) => {
    const { status, stdout, stderr } = await cli(args);
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(oneError.exec(stderr)?.[1]).toContain(hint);
  });

  it('run without a stack and without code says which of them it needs', async () => {
    expect(await cli(['run'])).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('STACK: missing: name a stack, or a code package'),
    });
  });

  it.each([
    [['kill', 'a/b'], 'task id "a/b"'],
    [['kill', 'sound', '../up'], 'task id "../up"'],
    [['kill', '--stop-timeout', 'soon', 'a'], 'stopTimeout "soon"'],
    [['kill', '--stop-timeout', '-1s', 'a'], 'stopTimeout "-1s"'],
    [['kill', '--stop-timeout', '2h', 'a'], 'stopTimeout "2h"'],
    [['reap', '--wait', ''], 'task id ""'],
    [['stack', 'show', 'No/Name'], '"No/Name"'],
  ])('%j names the wrong value', async (args, named) => {
    const { status, stdout, stderr } = await cli(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(named);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });
});

describe('without root', () => {
  /** A user namespace without a mapping: files stay readable, but no process there is root. */
  const asNobody = { through: ['unshare', '--user', '--'] };

  it.each([
    [['ps'], 1],
    [['kill', 'some-task'], 1],
    [['reap'], 1],
    [['reap', '--wait', 'some-task'], 1],
    [['stack', 'build', folder], 1],
    [['stack', 'ls'], 1],
    [['save', '--key', join(folder, 'key'), join(folder, 'file'), 'busybox'], 1],
    [['load', '/etc/passwd'], 1],
    [['verify'], 1],
    [['gc'], 1],
    [['df'], 1],
    [['run', 'busybox', 'true'], 125],
  ])('%j says that it needs root, and changes nothing', async (args, expected) => {
    const { status, stdout, stderr } = await cli(args, asNobody);
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toMatch(/^stackshim: .+: needs root \[ERR_STACKSHIM_NOT_ROOT\]\n/);
    expect([existsSync(env.STACKSHIM_ROOT), existsSync(env.STACKSHIM_RUN)]).toEqual([false, false]);
  });
});
