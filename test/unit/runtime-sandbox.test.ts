/** Communication with runsc beyond its command line: its files, and the exit status that its sandbox reports. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeRuntimeState, runtimeStateExists } from '../../src/runtime/drive-container.ts';
import { driverOf, RUNTIME_KINDS, RUNTIME_NAMES } from '../../src/runtime/drivers/driver-of.ts';
import {
  parseWaitStatus,
  signalSandbox,
  waitInSandbox,
} from '../../src/runtime/drivers/gvisor-sandbox.ts';
import {
  parseControlSocket,
  readControlSocket,
  runscFiles,
} from '../../src/runtime/drivers/runsc.ts';
import type { Runtime, RuntimeKind } from '../../src/runtime/runtime.ts';
import { RUNTIMES } from '../../src/spec/policy.ts';
import type { ProcessExit } from '../../src/sys/system.ts';

const runsc: Runtime = { kind: 'runsc', path: '/usr/bin/runsc', version: '20240729.0' };
let folder: string;
let container: { readonly id: string; readonly stateRoot: string };
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-runsc-`);
  container = { id: 't1', stateRoot: folder };
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const socketPath = () => `${folder}/runsc-t1.sock`;
const statePath = () => `${folder}/t1_sandbox:t1.state`;
const writeState = (path = socketPath()) =>
  writeFileSync(statePath(), JSON.stringify({ id: 't1', sandbox: { controlSocketPath: path } }));

/** A sandbox that answers each call with the next answer, then disconnects. */
async function serve(answers: readonly string[]): Promise<readonly string[]> {
  writeState();
  const calls: string[] = [];
  const left = [...answers];
  server = createServer((socket) => {
    socket.on('data', (chunk) => {
      calls.push(chunk.toString());
      const answer = left.shift();
      if (answer === undefined) socket.destroy();
      else socket.write(answer);
    });
  });
  await new Promise<void>((resolve) => server?.listen(socketPath(), resolve));
  return calls;
}

const foundSocket = () => readControlSocket(container);

describe('the exit status of a task', () => {
  test.each([
    [0, { exitCode: 0, signal: null }],
    [137 << 8, { exitCode: 137, signal: null }],
    [9, { exitCode: null, signal: 9 }],
    [4 | 0x80, { exitCode: null, signal: 4 }],
    [0x7f, undefined],
    [-1, undefined],
    [1.5, undefined],
    ['0', undefined],
  ])('is parsed from the wait status %j', (status, exit) => {
    expect(parseWaitStatus(status)).toEqual(exit);
  });

  test('is asked for until the container has started', async () => {
    const notYet = '{"success":false,"err":"not started","result":null}';
    const calls = await serve([notYet, notYet, '{"success":true,"err":"","result":768}']);
    expect(await waitInSandbox(container, foundSocket)).toEqual({ exitCode: 3, signal: null });
    expect(calls).toEqual(Array(3).fill('{"method":"containerManager.Wait","arg":"t1"}'));
  });

  test.each([
    ['there is no state file', () => Promise.resolve([])],
    [
      'nobody listens',
      () => {
        writeState();
        return Promise.resolve([]);
      },
    ],
    ['the sandbox disconnects', () => serve([])],
    ['its answer never ends', () => serve([`{"x":"${'a'.repeat(70_000)}`])],
  ])('is unknown if %s', async (_, prepare) => {
    await prepare();
    expect(await waitInSandbox(container, foundSocket)).toBeUndefined();
  });
});

describe('the exit status of a task in a sandbox', () => {
  const watch = (kind: RuntimeKind, exit: ProcessExit) => {
    const exits = { wait: () => Promise.resolve(exit), stopWaiting: () => undefined };
    return driverOf({ kind }).watchExit({ exits, pid: process.pid, pidfd: 0 }, container);
  };
  const told = '{"success":true,"err":"","result":768}';

  test.each([
    [
      'is the one that its sandbox reports',
      { exitCode: 0, signal: null },
      [told],
      { exitCode: 3, executed: true },
    ],
    ['is a kill from outside', { exitCode: null, signal: 9 }, [told], { exitCode: null }],
    [
      'is its own if the sandbox does not answer',
      { exitCode: 128, signal: null },
      [],
      { exitCode: 128 },
    ],
  ] as const)('%s', async (_, own, answers, expected) => {
    await serve(answers);
    const source = watch('runsc', own);
    const { exitCode } = await source.exited;
    expect({ exitCode, executed: source.executed() }).toEqual(expected);
    source.stop();
  });

  test('is not asked of other runtimes', async () => {
    const calls = await serve([told]);
    const source = watch('crun', { exitCode: 7, signal: null });
    expect(await source.exited).toEqual({ exitCode: 7, signal: null });
    expect(source.executed()).toBe(true);
    expect(calls).toEqual([]);
    source.stop();
  });
});

test('every runtime that a policy can name has a driver', () => {
  expect(RUNTIME_NAMES).toEqual(RUNTIMES);
  const drivers = new Set(RUNTIME_KINDS.map((kind) => driverOf({ kind })));
  expect(drivers.size).toBe(RUNTIME_KINDS.length);
});

test('a signal goes to every process of the container', async () => {
  const calls = await serve(['{"success":true,"err":"","result":null}']);
  await signalSandbox(container, foundSocket, { signal: 15 });
  expect(calls.map((call) => JSON.parse(call))).toEqual([
    { method: 'containerManager.Signal', arg: { CID: 't1', Signo: 15, PID: 0, Mode: 1 } },
  ]);
});

describe('the files of a container', () => {
  test('are removed with the socket, and no other files', async () => {
    const others = ['t10_sandbox:t10.state', 'runsc-t10.sock'];
    for (const name of [...others, 'runsc-t1.sock', 't1_sandbox:t1.lock']) {
      writeFileSync(`${folder}/${name}`, '');
    }
    writeState();
    expect(runtimeStateExists(runsc, container)).toBe(true);
    const options = { logFile: `${folder}/log` };
    await removeRuntimeState(runsc, container, options);
    await removeRuntimeState(runsc, container, options);
    expect(runtimeStateExists(runsc, container)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(others.sort());
    expect(runscFiles({ ...container, stateRoot: `${folder}/none` })).toEqual([]);
  });

  test('include a socket whose path is too long for the state folder', async () => {
    const elsewhere = `${folder}/elsewhere`;
    mkdirSync(elsewhere);
    writeFileSync(`${elsewhere}/runsc-t1.sock`, '');
    writeState(`${elsewhere}/runsc-t1.sock`);
    await removeRuntimeState(runsc, container, { logFile: `${folder}/log` });
    expect(existsSync(`${elsewhere}/runsc-t1.sock`)).toBe(false);
  });

  test.each([
    '',
    '{}',
    '{"sandbox":null}',
    '{"sandbox":{"controlSocketPath":5}}',
    '{"sandbox":{"controlSocketPath":"runsc-t1.sock"}}',
    '{"sandbox":{"controlSocketPath":"/etc/passwd"}}',
    '{"sandbox":{"controlSocketPath":"/run/runsc-t2.sock"}}',
  ])('do not include a socket for %j', (text) => {
    expect(parseControlSocket(text, 't1')).toBeUndefined();
  });
});

test('runsc is told what runc reads from its configuration', () => {
  const options = { id: 't1', stateRoot: '/s', logFile: '/l' };
  const common = ['--root', '/s', '--log', '/l', '--log-format', 'json'];
  const toArguments = (kind: RuntimeKind, hostNetwork = false) =>
    driverOf({ kind }).toArguments({ ...options, hostNetwork });
  expect(toArguments('runc', true)).toEqual(common);
  const own = ['--overlay2=none', '--oci-seccomp'];
  expect(toArguments('runsc')).toEqual([...common, '--network=none', ...own]);
  expect(toArguments('runsc', true)).toEqual([...common, '--network=host', ...own]);
});
