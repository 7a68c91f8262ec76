/** Containers of every runtime, from creation to removal. */
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import {
  removeRuntimeState,
  runtimeStateExists,
  startContainer,
} from '../../src/runtime/drive-container.ts';
import { resolveRuntime } from '../../src/runtime/resolve-runtime.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { toStartFailure } from '../../src/runtime/runtime-failure.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { makeFolder, RuntimeLab, runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const wrappers = makeFolder();
const runtimes = runtimesUnderTest(wrappers);
afterAll(() => rmSync(wrappers, { recursive: true }));

describe.each(runtimes)('$name', ({ kind, path }) => {
  let lab: RuntimeLab;
  let runtime: Runtime;
  const driver = openCgroupDriver();

  beforeAll(async () => {
    lab = new RuntimeLab();
    const layout = { root: lab.folder, run: lab.folder, policyFile: '', slots: '' };
    runtime = await resolveRuntime(path, { layout });
  });
  afterEach(async () => {
    expect(await lab.remove(runtime)).toEqual([]);
  });
  afterAll(() => lab.removeFolder());

  /** Runs a command to its end and removes its container. */
  async function run(id: string, args: readonly string[]) {
    const container = await lab.create(runtime, id, { args });
    const { hasEnded } = container;
    await startContainer(runtime, lab.reference(id), { hasEnded, logFile: lab.logFile(id) });
    const exit = await container.end();
    const usage = driver.readUsage(`${lab.cgroupParent}/${id}`);
    await removeRuntimeState(runtime, lab.reference(id), { logFile: lab.logFile(id) });
    expect(await driver.remove(`${lab.cgroupParent}/${id}`)).toEqual([]);
    return { exit, usage, stdout: container.stdout(), stderr: container.stderr() };
  }

  test('is the runtime and version that it claims', () => {
    expect(runtime.kind).toBe(kind);
    expect(runtime.version).toMatch(/^\d+\.\d+/);
  });

  test('runs a command and leaves nothing', async () => {
    const { exit, usage, stdout, stderr } = await run('t-run', [
      'sh',
      '-c',
      'echo out; echo err >&2; exit 7',
    ]);
    expect(exit).toEqual({ exitCode: 7, signal: null, executed: true });
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
    expect(usage.memoryPeakBytes).toBeGreaterThan(0);
    expect(usage.oomKills).toBe(0);
    expect(runtimeStateExists(runtime, lab.reference('t-run'))).toBe(false);
    expect(driver.existing(`${lab.cgroupParent}/t-run`)).toEqual([]);
  });

  test('reports a created container until the container is deleted', async () => {
    const container = await lab.create(runtime, 't-state', { args: ['sleep', '600'] });
    const reference = lab.reference('t-state');
    const options = { logFile: lab.logFile('t-state') };
    expect(runtimeStateExists(runtime, reference)).toBe(true);
    expect(driver.listProcesses(`${lab.cgroupParent}/t-state`)).toContain(container.init.pid);
    process.kill(container.init.pid, 'SIGKILL');
    expect(await container.end()).toEqual({ exitCode: null, signal: 9, executed: false });
    await removeRuntimeState(runtime, reference, options);
    await removeRuntimeState(runtime, reference, options);
    expect(runtimeStateExists(runtime, reference)).toBe(false);
    expect(await driver.remove(`${lab.cgroupParent}/t-state`)).toEqual([]);
  });

  test.each([
    ['nope', 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/nope', 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/bin/sh/nope', 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/x/loop', 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/x/plain', 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE'],
    ['/x/dir', 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE'],
    ['/no": permission denied', 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
  ])('refuses to create a container for %s', async (command, code) => {
    const id = 't-refused';
    await expect(lab.create(runtime, id, { args: [command] })).rejects.toMatchObject({
      code,
      details: { exitCode: 1, runtime: path },
    });
    expect(await driver.remove(`${lab.cgroupParent}/${id}`)).toEqual([]);
  });

  test('reports a working directory that is not one as the task’s fault', async () => {
    const command = { args: ['true'], cwd: '/x/plain' };
    await expect(lab.create(runtime, 't-cwd', command)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
    });
    expect(await driver.remove(`${lab.cgroupParent}/t-cwd`)).toEqual([]);
  });

  test.each(['bad-interpreter', 'no-first-line', 'bad-elf', 'empty'])(
    'reports that %s never ran, although it was started',
    async (name) => {
      const { exit, stderr } = await run(`t-${name}`, [`/x/${name}`]);
      expect(exit).toMatchObject({ signal: null, executed: false });
      const { exitCode } = exit;
      expect(toStartFailure(runtime, { exitCode, stderr })).toMatchObject({
        code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
        details: { exitCode, log: stderr.trim() },
      });
    },
  );

  test('detects a command that pretends never to have run', async () => {
    const script = 'echo "exec /x/none: exec format error" >&2; exit 255';
    const { exit } = await run('t-pretends', ['sh', '-c', script]);
    expect(exit).toEqual({ exitCode: 255, signal: null, executed: true });
  });

  test('refuses a second container with the same id, and leaves the first one alone', async () => {
    const first = await lab.create(runtime, 't-twice', { args: ['sleep', '600'] });
    await expect(lab.create(runtime, 't-twice', { args: ['true'] })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_CONFLICT',
    });
    expect(runtimeStateExists(runtime, lab.reference('t-twice'))).toBe(true);
    expect(linuxSystem.signalPidfd(linuxSystem.openPidfd(first.init.pid), 9)).toBe(true);
  });

  test('does not start a container whose init process died', async () => {
    const container = await lab.create(runtime, 't-dead', { args: ['true'] });
    process.kill(container.init.pid, 'SIGKILL');
    expect((await container.end()).executed).toBe(false);
    const options = { hasEnded: () => true, logFile: lab.logFile('t-dead') };
    await expect(startContainer(runtime, lab.reference('t-dead'), options)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
    });
    await removeRuntimeState(runtime, lab.reference('t-dead'), options);
    expect(await driver.remove(`${lab.cgroupParent}/t-dead`)).toEqual([]);
  });

  test('starts a container only once', async () => {
    const container = await lab.create(runtime, 't-once', { args: ['sleep', '600'] });
    const options = { hasEnded: container.hasEnded, logFile: lab.logFile('t-once') };
    await startContainer(runtime, lab.reference('t-once'), options);
    await expect(startContainer(runtime, lab.reference('t-once'), options)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_RUNTIME_FAILED',
    });
  });

  test('starts many containers at the same time, each once', async () => {
    const ids = Array.from({ length: 6 }, (_, index) => `t-many${index}`);
    const results = await Promise.all(
      ids.map((id, index) => run(id, ['sh', '-c', `echo ${id}; exit ${index}`])),
    );
    for (const [index, { exit, stdout }] of results.entries()) {
      expect(exit).toEqual({ exitCode: index, signal: null, executed: true });
      expect(stdout).toBe(`${ids[index]}\n`);
    }
  });
});
