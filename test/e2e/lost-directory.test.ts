/** The executable in a working directory without a path: removed, unmounted, or longer than the kernel reports. Requires: root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, installation, folder } = useTaskRunner();
const { env } = installation;

const inShell = (script: string) => ['sh', '-c', `${script} && exec "$@"`, 'sh'];
const lost = `${folder}/lost`;
const removed = inShell(`mkdir -p ${lost}/here && cd ${lost}/here && rmdir ${lost}/here`);
const unmounted = [
  ...['unshare', '--mount'],
  ...inShell(
    `mkdir -p ${lost} && mount -t tmpfs none ${lost} && cd ${lost} && echo A=there > p && umount -l ${lost}`,
  ),
];
const name = 'n'.repeat(250);
const tooLong = inShell(
  `mkdir -p ${lost} && cd ${lost} && for i in $(seq 20); do mkdir ${name} && cd -P ${name} || exit; done && echo A=there > p`,
);

const places: readonly (readonly [string, readonly string[]])[] = [
  ['removed', removed],
  ['unmounted', unmounted],
  ['too long', tooLong],
];

// rm(1) descends step by step: the paths are too long for one call.
afterEach(() => void execFileSync('rm', ['-rf', lost]));

describe.each(places)('%s', (_, through) => {
  it.each([['--version'], ['ps'], ['stack', 'ls'], ['doctor']])('%s works', async (...args) => {
    const here = await runCli(args, { env });
    const { status, stdout, stderr } = await runCli(args, { env, through });
    expect({ status, lines: stdout.split('\n').length, stderr }).toEqual({
      status: here.status,
      lines: here.stdout.split('\n').length,
      stderr: here.stderr,
    });
  });

  it('a task can be left to a keeper', async () => {
    const args = ['run', '-d', '--name', 'lost', 'busybox', 'echo', 'found'];
    const { status, stdout, stderr } = await runCli(args, { env, through });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'lost\n', stderr: '' });
    expect((await runCli(['wait', 'lost'], { env })).stdout).toBe('0\n');
    expect((await runCli(['logs', 'lost'], { env })).stdout).toBe('found\n');
    await runCli(['rm', 'lost'], { env });
  });

  it('a task runs with code and a payload given by absolute path', async () => {
    const code = `${folder}/code`;
    mkdirSync(code, { recursive: true });
    writeFileSync(`${code}/file`, 'of code');
    writeFileSync(`${folder}/payload`, 'payload');
    const options = ['--code', code, '--payload-file', `${folder}/payload`];
    const command = ['sh', '-c', 'cat file; pwd; exit 7'];
    const { status, stdout, stderr, record } = await run(options, command, { through });
    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: 'of code/task\n', stderr: '' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 7 });
  });

  it.each([
    ['--code', '.'],
    ['--code', '../../..'],
    ['-v', './x:/y'],
    ['-v', '..:/y'],
    ['--mount', 'type=bind,source=.,target=/y'],
    ['--payload-file', 'p'],
    ['--config-file', '0'],
    ['--result', 'r'],
    ['--events', 'e'],
  ])('%s %s is refused', async (option, value) => {
    const args = ['run', option, value, 'busybox', 'true'];
    const { status, stderr } = await runCli(args, { env, through });
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /: the working directory no longer exists, or has no path \[ERR_STACKSHIM_INPUT_NOT_FOUND\]\n {2}hint: give absolute paths/,
    );
  });
});

it.each(['here', 'here (deleted)'])(
  'another directory called %s, the kernel’s name for the removed one, is not mistaken for it',
  async (name) => {
    const through = [
      ...removed,
      ...inShell(`mkdir '${lost}/${name}' && echo x > '${lost}/${name}/file'`),
    ];
    const args = ['run', '--code', '.', 'busybox', 'cat', 'file'];
    const { status, stdout, stderr } = await runCli(args, { env, through });
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_INPUT_NOT_FOUND]');
  },
);

describe('a file that is only read, given by a relative path', () => {
  const read = (through: readonly string[]) =>
    run(['--env-file', 'p'], ['sh', '-c', 'echo $A'], { through });

  it.each(places.slice(1))('is found if the directory still exists: %s', async (_, through) => {
    expect(await read(through)).toMatchObject({ status: 0, stdout: 'there\n' });
  });

  it('is not found if the directory is gone', async () => {
    const { status, stderr } = await read(removed);
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /^stackshim: read p: no such file or directory \[ERR_STACKSHIM_INPUT_NOT_FOUND\]/,
    );
  });

  it('is never taken from /proc, where the executable’s working directory is meanwhile', async () => {
    for (const path of ['0', '1', '2']) {
      const { status, stderr } = await run(['--env-file', path], ['true'], { through: removed });
      expect(status).toBe(125);
      expect(stderr).toContain(`read ${path}: no such file or directory`);
    }
  });
});

it('standard streams that were closed stay closed, whatever is opened afterwards', async () => {
  const result = `${folder}/closed.json`;
  const through = [...removed, 'sh', '-c', 'exec "$@" <&- >&-', 'sh'];
  const args = ['run', '--result', result, 'busybox', 'sh', '-c', 'exit 7'];
  const { status, stdout, stderr } = await runCli(args, { env, through });
  expect({ status, stdout, stderr }).toEqual({
    status: 7,
    stdout: '',
    // The shell opens these.
    stderr: expect.stringMatching(/^(sh: .*getcwd\(\) failed.*\n)?$/),
  });
});
