/** Programs started by posix_spawn: what they find, how they end, and what they cost their caller. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { callRuntime } from '../../src/runtime/call-runtime.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runProgram } from '../../src/sys/run-program.ts';
import { openNullDevice, startProgram } from '../../src/sys/start-program.ts';
import { SystemError } from '../../src/sys/system.ts';
import { failSystem } from '../support/host/failing-system.ts';
import { expectOpenFiles, openFiles } from '../support/host/open-files.ts';
import { runFixture } from '../support/programs/bun-fixture.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { describeProgram } from './support/describe-program.ts';
import { tryPrograms } from './support/try-programs.ts';

const folder = mkdtempSync(`${tmpdir()}/stackshim-programs-`);
const silent = openNullDevice('both');
const stdio = [silent, silent, silent];
afterAll(() => {
  closeSync(silent);
  rmSync(folder, { recursive: true });
});

const shell = { kind: 'other', path: '/bin/sh', version: '1' } as const;
const call = (script: string) => callRuntime(shell, ['-c', script], { operation: 'call', stdio });
const start = (script: string) =>
  startProgram({ path: '/bin/sh', args: ['-c', script], env: {}, stdio });

const clean = {
  descriptors: '0 1 2',
  environment: 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  directory: '/',
  leadsSession: true,
  blocked: '0000000000000000',
  ignored: '0000000000000000',
};

describe('a started program finds its three descriptors, all signals unblocked and handled by default, and its own session', () => {
  it('on Node', async () => {
    expect(await describeProgram(`${folder}/node`)).toMatchObject(clean);
  });

  it('on the engine of the executable, with another umask', async () => {
    const fixture = new URL('../fixtures/described-program.ts', import.meta.url);
    const printed = JSON.parse(await runFixture(fixture, [`${folder}/bun`]));
    expect(printed).toEqual({ ...clean, umask: '0022' });
  });
});

it('starting a program copies no memory of the caller: later writes cause no page faults', async () => {
  const memory = Buffer.alloc(256 * 1024 * 1024, 1);
  const faultsOfWriting = () => {
    const before = process.resourceUsage().minorPageFault;
    memory.fill(2);
    return process.resourceUsage().minorPageFault - before;
  };
  faultsOfWriting();
  const running = call('read -r _ < /dev/null; exit 3');
  const exitCode = await running;
  // A fork would mark all 65,536 pages copy-on-write: each later write would fault.
  expect(faultsOfWriting()).toBeLessThan(6_000);
  expect(exitCode).toBe(3);
});

it('no exit of a program, or of a child that the process starts itself, is missed', async () => {
  const codes = Array.from({ length: 300 }, (_, index) => index % 100);
  const programs = codes.map((code) => call(`exit ${code}`));
  const children = codes.map(async (code) => {
    const child = spawn('/bin/sh', ['-c', `(exit 1 &); exit ${code}`], { stdio: 'ignore' });
    const [exit] = await once(child, 'exit');
    return exit;
  });
  expect(await Promise.all(programs)).toEqual(codes);
  expect(await Promise.all(children)).toEqual(codes);
});

it('an exit is reported even if no more descriptors can be watched', async () => {
  vi.spyOn(linuxSystem, 'addToEpoll').mockImplementation(() => {
    throw new SystemError('epoll_ctl', constants.errno.ENOSPC, 'ENOSPC');
  });
  try {
    expect(await call('exit 9')).toBe(9);
  } finally {
    vi.restoreAllMocks();
  }
});

describe('a program that cannot be started is reported if it', () => {
  const refusal = async (path: string) =>
    callRuntime({ ...shell, path }, [], { operation: 'call', stdio }).then(
      () => undefined,
      (error) => [error.code, error.cause.code],
    );

  it('is not found', async () => {
    expect(await refusal(`${folder}/none`)).toEqual(['ERR_STACKSHIM_RUNTIME_NOT_FOUND', 'ENOENT']);
  });

  it('is not executable', async () => {
    writeFileSync(`${folder}/plain`, '#!/bin/sh\n', { mode: 0o644 });
    expect(await refusal(`${folder}/plain`)).toEqual(['ERR_STACKSHIM_RUNTIME_FAILED', 'EACCES']);
  });

  it('has a format that the kernel does not know: no shell is tried instead', async () => {
    writeFileSync(`${folder}/text`, 'exit 0\n', { mode: 0o755 });
    expect(await refusal(`${folder}/text`)).toEqual(['ERR_STACKSHIM_RUNTIME_FAILED', 'ENOEXEC']);
  });

  it('has an argument with a NUL', async () => {
    const { exited } = startProgram({ path: '/bin/true', args: ['a\0b'], env: {}, stdio });
    await expect(exited).rejects.toThrow(TypeError);
  });
});

it('a program is waited for even if no descriptor is left to watch it', async () => {
  const { openPidfd } = linuxSystem;
  let calls = 0;
  const refuse = vi.spyOn(linuxSystem, 'openPidfd').mockImplementation((pid) => {
    calls += 1;
    if (calls === 1) return openPidfd(pid);
    throw new SystemError('pidfd_open', constants.errno.EMFILE, 'EMFILE', String(pid));
  });
  try {
    expect(await start('exit 3').exited).toEqual({ exitCode: 3, signal: null });
    expect(calls).toBe(2);
  } finally {
    refuse.mockRestore();
  }
});

describe('every way to start a program limits its streams, its time and its processes', () => {
  const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const killed = { exitCode: null, signal: 9, output: '' };
  const ended = { exitCode: 0, signal: null };
  const expected = {
    run: {
      readsAll: { ...ended, output: '4800000\n' },
      readsLittle: { ...ended, output: 'xxxxxxxxx' },
      inputFails: 'no more of it',
      tooLate: { ...killed, givenUp: 'timeout' },
      aborted: { ...killed, givenUp: 'aborted' },
      there: { ...ended, output: '/usr\n' },
      isMissing: expect.stringContaining('ENOENT'),
      says: { exitCode: 3, first: '1', last: '90000', isCut: true },
    },
    ask: {
      prints: { printed: `${SYSTEM_PATH} /bin/sh\n/\n`, stderr: 'aside', exitCode: 0 },
      prompts: { printed: 'end\n', stderr: '', exitCode: 0 },
      tooMuch: { printed: 'y\n'.repeat(100), failure: 'it printed too much', exitCode: null },
      tooLate: { failure: 'it did not finish in time', exitCode: null },
      aborted: { failure: 'aborted', exitCode: null },
      fails: { stderr: 'first\nlast', failure: 'last', exitCode: 4 },
      isKilled: { failure: 'ended by SIGKILL', exitCode: null },
      leavesOne: { printed: 'done\n', exitCode: 0 },
      isMissing: expect.stringContaining('ENOENT'),
    },
    filtered: 60_000,
  };

  it('on Node', async () => {
    expect(await tryPrograms()).toMatchObject(expected);
  });

  it('on the engine of the executable', async () => {
    const fixture = new URL('../fixtures/tried-programs.ts', import.meta.url);
    expect(JSON.parse(await runFixture(fixture, []))).toMatchObject(expected);
  });
});

describe('killAll', () => {
  it('ends a program that is just being started', async () => {
    const program = start('exec sleep 600');
    program.killAll();
    expect(await program.exited).toEqual({ exitCode: null, signal: 9 });
  });

  it('ends the program’s own children', async () => {
    const program = start('sleep 600 & exec sleep 600');
    const pid = await program.running;
    program.killAll();
    expect(await program.exited).toEqual({ exitCode: null, signal: 9 });
    const inGroup = () => {
      try {
        return process.kill(-pid, 0);
      } catch {
        return false;
      }
    };
    // The new parent of its children reaps them later.
    await expect.poll(inGroup, { timeout: scaled(10_000) }).toBe(false);
  });

  it('does nothing after the program has ended', async () => {
    const program = start('exit 4');
    expect(await program.exited).toEqual({ exitCode: 4, signal: null });
    program.killAll();
  });
});

it('a program whose pipes cannot be opened leaves no descriptor', async () => {
  const system = failSystem();
  const fault = { method: 'createPipe', answer: 'EMFILE', call: 1, lasting: false } as const;
  const before = openFiles();
  try {
    await system.during(fault, async () => {
      const input = Readable.from([Buffer.from('text')]);
      const running = runProgram({ path: '/bin/cat', args: [], env: {}, input });
      await expect(running).rejects.toMatchObject({ code: 'EMFILE' });
    });
  } finally {
    system.restore();
  }
  await expectOpenFiles(before, { mayClose: true });
});
