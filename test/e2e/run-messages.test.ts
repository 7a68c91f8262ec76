/** Messages of `run` for people: options and values as they were typed, and docker's habits. Requires: root. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, installation, folder, setPolicy } = useTaskRunner();
const { env } = installation;
afterEach(() => setPolicy(null));

const saidOf = async (...options: string[]) => {
  const { status, stderr, record } = await run(options, ['true']);
  expect({ status, record }).toEqual({ status: 125, record: undefined });
  return stderr.split('\n', 1)[0];
};

describe('an error uses the terms of the command line', () => {
  it.each([
    [['-v', 'here:/x'], /^stackshim: -v source "here": not an absolute path/],
    [['-v', '/:/x', '-v', '/x'], /^stackshim: -v "\/x": not HOST:TASK/],
    [
      ['--mount', 'type=bind,target=/x'],
      /^stackshim: --mount "type=bind,target=\/x": lacks source=/,
    ],
    [['--ulimit', 'x'], /^stackshim: --ulimit "x": /],
    [['--pids-limit', '0'], /^stackshim: --pids-limit "0": not a whole number from 1 to 4194304/],
    [['--timeout', '0'], /^stackshim: --timeout "0": not between 1ms and 720h/],
    [['--stop-timeout', '2h'], /^stackshim: --stop-timeout "2h": not between 0s and 1h/],
    [['--memory', '1m'], /^stackshim: --memory "1m": less than the minimum of 4m /],
  ])('%j', async (options, said) => {
    expect(await saidOf(...options)).toMatch(said);
  });

  it('an error states limits of the policy in the units that people type', async () => {
    setPolicy({ maxima: { memory: '64m', timeout: '90s', disk: '1.5g' } });
    const above = (option: string, asked: string, allowed: string) =>
      `stackshim: ${option} ${asked}: above the policy's maximum of ${allowed} [ERR_STACKSHIM_SPEC_DENIED]`;
    expect(await saidOf('-m', '1g')).toBe(above('--memory', '1g', '64m'));
    expect(await saidOf('--timeout', '5400')).toBe(above('--timeout', '1h30m', '1m30s'));
    expect(await saidOf('--disk', '2048m')).toBe(above('--disk', '2g', '1536m'));
  });

  it.each([
    [['--payload-file', '/nope'], 'read /nope: no such file or directory'],
    [['--env-file', '/nope'], 'read /nope: no such file or directory'],
    [['-v', '/nope:/x'], 'read /nope: no such file or directory'],
    [['--code', '/nope'], 'read /nope: no such file or directory'],
    [['--events', '/nope/x'], 'write /nope/x: no such file or directory'],
  ])('an error names a file that does not exist: %j', async (options, said) => {
    expect(await saidOf(...options)).toMatch(new RegExp(`^stackshim: ${said} \\[ERR_`));
  });

  it('an error says that an archive is a folder', async () => {
    writeFileSync(`${folder}/image.tar`, 'x');
    const args = ['stack', 'import', 'some', `oci:${folder}/image.tar`];
    const { status, stderr } = await runCli(args, { env });
    expect(status).toBe(2);
    expect(stderr).toContain(`hint: for an archive write oci-archive:${folder}/image.tar`);
  });
});

describe('an error about a task that stackshim ended', () => {
  it.each([
    [['--timeout', '250ms'], 'sleep 60', 'timed out after 250ms (--timeout)'],
    [['--cpu-time', '100ms'], 'while :; do :; done', 'more processor time than 100ms (--cpu-time)'],
    [['--output-limit', '1k'], 'yes', 'it wrote more than 1k (--output-limit)'],
    [['--disk', '8m'], 'cat /dev/zero > /x', 'its disk space was full at 8m (--disk)'],
    [['--memory', '16m'], 'tail /dev/zero', 'it ran out of memory at 16m (--memory)'],
  ])('states the limit as it was typed: %j', async (options, script, said) => {
    const { stderr } = await run(options, ['sh', '-c', script]);
    expect(stderr).toContain(said);
  });
});

describe('options that docker users type', () => {
  it('--rm has no effect', async () => {
    const { status, record } = await run(['--rm'], ['true']);
    expect(status).toBe(0);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });

  it.each([
    [['-v', './data:/x:ro']],
    [['-v', '../habits/data:/x']],
    [['--mount', 'type=bind,source=./data,target=/x,readonly']],
    [['--mount', 'type=bind,src=.,dst=/y']],
  ])('a relative source is relative to the working directory: %j', async (options) => {
    const cwd = `${folder}/habits`;
    mkdirSync(`${cwd}/data`, { recursive: true });
    writeFileSync(`${cwd}/data/file`, 'from here');
    const { stdout, stderr } = await run(options, ['sh', '-c', 'cat /x/file || cat /y/data/file'], {
      cwd,
    });
    expect({ stdout, stderr: stderr.replace(/^cat: .*\n/, '') }).toEqual({
      stdout: 'from here',
      stderr: '',
    });
  });
});
