/** A command's exit code and output are passed on, and failures to start are reported. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, start, folder } = useTaskRunner();
const MIB = 1024 * 1024;

describe('an exit code', () => {
  it.each([1, 2, 125, 126, 127, 137, 255])('%i is passed on', async (code) => {
    const { status, record } = await run([], sh(`exit ${code}`));
    expect(status).toBe(code);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: code, error: null });
  });
});

describe('setup_failed', () => {
  it.each([
    ['no-such-command', 127, 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/no/such/file', 127, 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/etc/passwd/x', 127, 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['two\nlines', 127, 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/etc/passwd', 126, 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE'],
    ['/etc', 126, 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE'],
  ])('reports the command %j with status %i', async (command, expected, code) => {
    const { status, stdout, stderr, record } = await run([], [command]);
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^stackshim: .* \\[${code}\\]\n {2}hint: .+\n$`));
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      exitCode: null,
      signal: null,
      retryable: false,
      error: { code },
      usage: { wallMs: null },
    });
  });

  it.each([
    ['a bad interpreter', '#!/no/such/sh\n'],
    ['no #! and no ELF header', 'echo hello\n'],
    ['no content', ''],
    ['half an ELF header', '\x7fELF\x02\x01\x01'],
  ])('reports a program with %s as not executable', async (_, text) => {
    const code = join(folder, 'program');
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, 'program'), text, 'latin1');
    chmodSync(join(code, 'program'), 0o755);
    const { status, stdout, stderr, record } = await run(['--code', code], ['/task/program']);
    expect({ status, stdout }).toEqual({ status: 126, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE]');
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', exitCode: null });
  });

  it.each([
    ['a file', '/etc/passwd'],
    ['below a file', '/etc/passwd/x'],
  ])('reports a working directory that is %s with status 125', async (_, workdir) => {
    const { status, record } = await run(['-w', workdir], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_SPEC_INVALID' },
    });
  });
});

describe('output', () => {
  it('keeps the beginning and the end of what is captured', async () => {
    const script = 'echo BEGIN; head -c 3000000 /dev/zero | tr "\\0" x; echo END; exit 4';
    const { status, stdout } = await run(['--json'], sh(script));
    expect(status).toBe(4);
    const { verdict, output } = JSON.parse(stdout);
    expect(verdict).toBe('failed');
    expect(output).toMatchObject({ stdoutBytes: 3_000_010, stderrBytes: 0, truncated: true });
    expect(output.stdout).toMatch(/^BEGIN\nx+\n\[1951434 bytes left out\]\nx+END\n$/);
    expect(output.stdout.replace(/\n\[.*\]\n/, '').length).toBe(MIB);
  });

  it('captures both streams completely when they are short', async () => {
    const { stdout } = await run(['--json'], sh('printf "a\\0b"; printf ü >&2'));
    expect(JSON.parse(stdout).output).toEqual({
      stdoutBytes: 3,
      stderrBytes: 2,
      lostBytes: 0,
      truncated: false,
      stdout: 'a\0b',
      stderr: 'ü',
    });
  });

  it.each(['root', 'user', '4242'])('can be reopened by path as %s', async (user) => {
    const script = 'echo one > /dev/stdout; echo two > /dev/stderr; echo three >> /proc/self/fd/1';
    const { status, stdout, stderr } = await run(['-u', user], sh(script));
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'one\nthree\n',
      stderr: 'two\n',
    });
  });

  it('is dropped when its reader has closed its end, and the task continues', async () => {
    const task = start([], sh('echo first; while [ -d /proc/1 ] && echo more; do :; done'));
    await task.printed('first');
    task.child.stdout?.destroy();
    task.child.kill('SIGTERM');
    const { status, record } = await task.ended;
    expect(status).toBe(143);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
  });
});
