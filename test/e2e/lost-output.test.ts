/** Lost output is noticed, and a task whose output has no reader is stopped. Requires: root. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { startCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, installation, folder } = useTaskRunner();
const { env } = installation;

/** Every write to `/dev/full` fails for lack of space. */
const shell = (script: string) => ['sh', '-c', script, 'sh'];
const toFull = shell('exec "$@" > /dev/full');
const cli = (through: readonly string[], ...args: string[]) =>
  startCli(args, { env, through }).ended;

const LOST =
  /^stackshim: write standard output: no space left on device \[ERR_STACKSHIM_DISK_FULL\]\n {2}hint: [^\n]*\n$/;

describe('a full disk behind standard output', () => {
  it.each([
    [['ps']],
    [['ps', '--json']],
    [['stack', 'ls']],
    [['stack', 'show', 'busybox']],
    [['doctor']],
    [['df']],
    [['completion', 'bash']],
    [['--help']],
    [['--version']],
  ])('makes %j fail with one line', async (args) => {
    const { status, stderr } = await cli(toFull, ...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(LOST);
  });

  it.each([[['--', 'echo', 'hi']], [['--json', '--', 'echo', 'hi']], [['--help', '--']]])(
    'makes run %j fail with the status of stackshim’s own failures',
    async (args) => {
      const [options, command] = [
        args.slice(0, args.indexOf('--')),
        args.slice(args.indexOf('--')),
      ];
      const { status, stderr } = await cli(toFull, 'run', ...options, 'busybox', ...command);
      expect(status).toBe(125);
      expect(stderr).toMatch(LOST);
    },
  );

  it('does not disturb the task, and does not hide the task’s own failure', async () => {
    const script = 'for i in 1 2 3; do echo $i; sleep 0.05; done; exit 7';
    const { status, stderr, record } = await run([], ['sh', '-c', script], { through: toFull });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 7 });
    expect(status).toBe(7);
    expect(stderr).toMatch(LOST);
  });

  it('is reported in one line when events are lost', async () => {
    const { status, stderr } = await run(['--events', '/dev/full'], ['true']);
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /^stackshim: write \/dev\/full: no space left on device [^\n]*\n {2}hint: [^\n]*\n$/,
    );
  });

  it('behind standard error does not change the status', async () => {
    const through = shell('exec "$@" 2> /dev/full');
    expect((await cli(through, 'run', 'nothing-called-so', 'true')).status).toBe(125);
    expect((await cli(through, 'stack', 'show', 'nothing-called-so')).status).toBe(3);
  });
});

describe('a reader of standard output that has closed its end', () => {
  const piped = (reader: string) => shell(`{ "$@"; echo "status $?" >&2; } | ${reader}`);

  it('ends the task at once, as SIGPIPE ends a program', async () => {
    // Ignores TERM and has an hour to end: only KILL ends the test.
    const script = 'trap "" TERM PIPE; while :; do echo line; sleep 0.01; done';
    const { stdout, stderr, record } = await run(['--stop-timeout', '1h'], ['sh', '-c', script], {
      through: piped('head -n 1'),
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'line\n', stderr: 'status 141\n' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', signal: 'SIGKILL' });
  });

  it('does not affect a task that writes nothing more', async () => {
    const script = 'echo line; exit 3';
    const { stderr, record } = await run([], ['sh', '-c', script], { through: piped('head -n 1') });
    expect(stderr).toBe('status 3\n');
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 3 });
  });

  it.each([
    ['stack export', ['stack', 'export', 'busybox', '-']],
    ['save', ['save', '-', 'busybox', '--key', `${folder}/key.pem`]],
  ])('ends %s with an incomplete file, as SIGPIPE ends a program', async (_, args) => {
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', `${folder}/key.pem`]);
    const { stdout, stderr } = await cli(piped('head -c 1 | wc -c'), ...args);
    expect(stdout).toBe('1\n');
    expect(stderr).toMatch(/\nstatus 141\n$|^status 141\n$/);
    expect(stderr).not.toMatch(/stackshim:|EPIPE/);
  });

  it('does not make a command that lists fail', async () => {
    const { stderr } = await cli(piped('true'), 'stack', 'show', 'busybox', '--json');
    expect(stderr).toBe('status 0\n');
  });
});
