/** Texts and logs that runc 1.1.15, runc 1.3.6, crun 1.21 and runsc 20240729 really write, and how they are classified. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { clearStaleVersions, parseVersionOutput } from '../../src/runtime/learn-version.ts';
import {
  classifyFailure,
  lastLogMessage,
  readLogTail,
  toRuntimeFailure,
  toStartFailure,
} from '../../src/runtime/runtime-failure.ts';
import { isOlderThan, knownHoles } from '../../src/runtime/runtime-version.ts';

const runc11 = 'runc create failed: unable to start container process: ';
const runc13 = `${runc11}error during container init: `;
const folder = mkdtempSync(join(tmpdir(), 'stackshim-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const runc = { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.6' } as const;
const crun = { kind: 'crun', path: '/usr/bin/crun', version: '1.21' } as const;

describe('classifyFailure', () => {
  test.each([
    'exec failed: cannot exec in a stopped container',
    'exec failed: container does not exist',
    'runc exec failed: cannot exec in a stopped container',
  ])('blames no command for a container that has ended: %s', (text) => {
    expect(classifyFailure(text)).toEqual({ code: 'ERR_STACKSHIM_RUNTIME_FAILED' });
  });

  test.each([
    `${runc11}exec: "nope": executable file not found in $PATH`,
    `${runc13}exec: "nope": executable file not found in $PATH`,
    `${runc11}exec: "/nope": stat /nope: no such file or directory`,
    `${runc13}exec: "/nope": stat /nope: no such file or directory`,
    `${runc13}exec: "/x/loop": stat /x/loop: too many levels of symbolic links`,
    `${runc13}exec: "/bin/sh/foo": stat /bin/sh/foo: not a directory`,
    'executable file `nope` not found in $PATH: No such file or directory',
    'executable file `/nope` not found: No such file or directory',
    'open executable: Not a directory',
    'open executable: Too many levels of symbolic links',
    'open executable: File name too long',
    'cannot open `/x/loop`: Too many levels of symbolic links',
    'cannot open `/bin/sh/foo`: Not a directory',
    'starting container: starting root container: starting sandbox: error finding executable "nope" in PATH [/usr/bin /bin]: no such file or directory',
    'starting container: starting root container: starting sandbox: creating process: failed to load /nope: no such file or directory',
    'starting container: starting root container: starting sandbox: creating process: failed to load /etc/passwd/x: not a directory',
    // Names that imitate another class, or contain newlines.
    `${runc13}exec: "x\\": permission denied": executable file not found in $PATH`,
    `${runc13}exec: "a\nb": executable file not found in $PATH`,
  ])('finds a missing command: %s', (text) => {
    expect(classifyFailure(text)).toEqual({ code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND' });
  });

  test.each([
    `${runc11}exec: "/x/noexec": permission denied`,
    `${runc13}exec: "/x/noexec": permission denied`,
    `${runc13}exec: "/x/dir": is a directory`,
    'the path `/x/noexec` exists but it is not executable: Operation not permitted',
    'the path `/x/dir` is not a regular file: Operation not permitted',
    'open executable: Permission denied',
    'open executable: Operation not permitted',
    'exec /x/badinterp: no such file or directory',
    'exec /x/noshebang: exec format error',
    'exec /x/interpnoexec: permission denied',
    'exec container process (missing dynamic library?) `/x/badinterp`: No such file or directory',
    'exec container process `/x/noshebang`: Exec format error',
    'exec container process `/x/interpnoexec`: Permission denied',
    'starting container: starting root container: starting sandbox: creating process: failed to load /x/noexec: permission denied',
  ])('finds a command that is not executable: %s', (text) => {
    expect(classifyFailure(text)).toEqual({ code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE' });
  });

  test.each([
    `${runc11}chdir to cwd ("/x/dir") set in config.json failed: permission denied`,
    `${runc13}chdir to cwd ("/x/dir") set in config.json failed: permission denied`,
    `${runc13}mkdir /x/file: not a directory`,
    'chdir `/x/plain`: Not a directory',
    'chdir to `/x/file`: Not a directory',
    `${runc11}unable to setup user: cannot set uid to unmapped user in user namespace`,
    `${runc13}unable to setup user: cannot setuid to unmapped uid 70000 in user namespace`,
    'cannot setresuid to `70000`: Invalid argument',
    `${runc13}error setting cgroup config for procHooks process: unable to set memory limit to 1048576 (current usage: 2113536, peak usage: 2527232)`,
    `${runc11}container init was OOM-killed (memory limit too low?)`,
  ])('finds a request of the task that cannot be met: %s', (text) => {
    expect(classifyFailure(text)).toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      hint: expect.stringMatching(/./),
    });
  });

  test.each([
    'runc create failed: container with given ID already exists',
    'container `t5` already exists',
  ])('finds an id that is in use: %s', (text) => {
    expect(classifyFailure(text)).toEqual({ code: 'ERR_STACKSHIM_TASK_CONFLICT' });
  });

  test.each([
    '',
    'runc create failed: invalid rootfs: stat /nope: no such file or directory',
    `${runc13}error setting rlimits for ready process: error setting rlimit type 7: operation not permitted`,
    'open `/nope`: No such file or directory',
    'setrlimit `RLIMIT_NOFILE`: Operation not permitted',
    'container does not exist',
    `${runc13}exec: "x": permission denied: and something else`,
  ])('treats any other failure as the platform’s fault: %s', (text) => {
    expect(classifyFailure(text)).toEqual({ code: 'ERR_STACKSHIM_RUNTIME_FAILED' });
  });

  test('ignores the command’s name', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const text = `${runc13}exec: "${name}": executable file not found in $PATH`;
        expect(classifyFailure(text).code).toBe('ERR_STACKSHIM_COMMAND_NOT_FOUND');
      }),
    );
  });
});

describe('the runtime’s log', () => {
  const line = (level: string, msg: string) =>
    JSON.stringify({ level, msg, time: '2026-11-24T11:44:53Z' });

  test('is read for its last error, even before a later warning', () => {
    const text = [line('error', 'first'), line('error', 'second'), line('warning', 'w')].join('\n');
    expect(lastLogMessage(`${text}\n`)).toBe('second');
  });

  test('without an error is read for its last line', () => {
    expect(lastLogMessage([line('info', 'a'), line('warning', 'b')].join('\n'))).toBe('b');
  });

  test('may contain lines that are not log entries', () => {
    const text = ['cut": 1}', '{bad json}', 'null', '{"msg":5}', line('error', 'it')].join('\n');
    expect(lastLogMessage(text)).toBe('it');
    expect(lastLogMessage('panic: runtime error\ngoroutine 1')).toBeUndefined();
  });

  test('may contain any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        lastLogMessage(text);
        lastLogMessage(`{${text}}`);
      }),
    );
  });

  test('is read only at its end if it is long', () => {
    const file = join(folder, 'long');
    writeFileSync(file, `${line('info', 'x'.repeat(100_000))}\n${line('error', 'the end')}\n`);
    const tail = readLogTail(file);
    expect(tail).toHaveLength(8192);
    expect(lastLogMessage(tail)).toBe('the end');
    expect(readLogTail(join(folder, 'none'))).toBe('');
  });

  test('is part of the failure, with the exit code', () => {
    const logFile = join(folder, 'log');
    writeFileSync(logFile, `${line('error', 'runc create failed: no space')}\n`);
    const options = { operation: 'create container t1', logFile, exitCode: 1 };
    expect(toRuntimeFailure(runc, options)).toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      message: 'create container t1: runc create failed: no space',
      details: { exitCode: 1, runtime: '/usr/sbin/runc', log: expect.stringContaining('no space') },
    });
    expect(toRuntimeFailure(runc, { ...options, logFile: join(folder, 'none') })).toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
      message: 'create container t1: runc exited with 1 and logged nothing',
    });
  });

  test('contains what the init process wrote when a start fails', () => {
    const stderr =
      '{"msg":"exec container process `/x/e`: Exec format error","level":"error","time":"2026"}\n';
    expect(toStartFailure(crun, { exitCode: 1, stderr })).toMatchObject({
      code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
      message: 'start command: exec container process `/x/e`: Exec format error',
    });
    expect(toStartFailure(runc, { exitCode: 255 }).code).toBe(
      'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
    );
    expect(toStartFailure(runc, { exitCode: null }).code).toBe('ERR_STACKSHIM_RUNTIME_FAILED');
    expect(toStartFailure(runc, { exitCode: null, oomKills: 1 }).code).toBe(
      'ERR_STACKSHIM_SPEC_INVALID',
    );
    expect(toStartFailure(runc, { exitCode: 1, stderr: 'init seccomp: no' }).code).toBe(
      'ERR_STACKSHIM_RUNTIME_FAILED',
    );
  });
});

describe('versions', () => {
  test.each([
    ['runc version 1.1.15+ds1\ncommit: x\nspec: 1.2.0\ngo: go1.24.4', 'runc', '1.1.15+ds1'],
    ['crun version 1.21\ncommit: x\nrundir: /run/crun\nspec: 1.0.0', 'crun', '1.21'],
    ['runsc version 0.0~20240729.0\nspec: 1.2.0', 'runsc', '0.0~20240729.0'],
    ['runsc version release-20240729.0\nspec: 1.1.0-rc.1', 'runsc', '20240729.0'],
    ['youki version 0.5.3\nspec: 1.0.2', 'other', '0.5.3'],
  ])('reads %j', (output, kind, version) => {
    expect(parseVersionOutput('/r', output)).toEqual({ kind, path: '/r', version });
  });

  test.each(['', 'git version 2.47.0', 'GNU bash, version 5.2.37', 'runc version \n', 'v20.1.0'])(
    'does not read %j',
    (output) => {
      expect(() => parseVersionOutput('/r', output)).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_RUNTIME_NOT_FOUND' }),
      );
    },
  );

  test('drops stored versions that are damaged', () => {
    const directory = mkdtempSync(`${tmpdir()}/stackshim-versions-`);
    const fingerprint = { device: 1, inode: 2, size: 3, mtimeMs: 4 };
    for (const [index, path] of [
      null,
      5,
      'relative',
      '/nul\0',
      '/gone',
      '/etc/passwd/x',
      `/${'n'.repeat(300)}`,
    ].entries()) {
      const runtime = { kind: 'runc', path, version: '1.3.6' };
      writeFileSync(`${directory}/1-${index}.json`, JSON.stringify({ fingerprint, runtime }));
    }
    clearStaleVersions(directory);
    expect(readdirSync(directory)).toEqual([]);
    rmSync(directory, { recursive: true });
  });

  test('can be ordered', () => {
    expect(isOlderThan('1.1.15+ds1', '1.2.8')).toBe(true);
    expect(isOlderThan('1.10', '1.8')).toBe(false);
    expect(isOlderThan('1.8', '1.8.0')).toBe(false);
    expect(isOlderThan('1.7.9', '1.8')).toBe(true);
  });

  test('show which versions of runc are vulnerable', () => {
    const all = ['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881'];
    const holesOf = (version: string) => knownHoles({ ...runc, version });
    for (const version of ['1.1.15+ds1', '1.2.7', '1.3.0', '1.3.2']) {
      expect(holesOf(version)).toEqual(all);
    }
    for (const version of ['1.2.8', '1.2.9', '1.3.3', '1.3.6+ds1', '1.4.0']) {
      expect(holesOf(version)).toEqual([]);
    }
    expect(holesOf('1.1.11')).toEqual(['CVE-2024-21626', ...all]);
    expect(knownHoles({ ...crun, version: '1.0' })).toEqual([]);
  });
});
