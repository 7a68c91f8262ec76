/** `stackshim exec` with every runtime, and with one of which nothing is known. */
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sh } from '../support/cli/shell.ts';
import { realRunc, writeExecutable } from '../support/runtimes/fake-runtime.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { useExecTests } from './support/exec-tests.ts';

const { exec, startExec, startTask, resultOf, setPolicy, folder, installation } = useExecTests();

const runsc = { name: 'gVisor', kind: 'runsc', path: 'runsc' } as const;

describe.each([...runtimesUnderTest(folder), runsc])('with $name', ({ path, kind }) => {
  const isSandbox = kind === 'runsc';
  beforeEach(() => setPolicy({ allow: { runtimes: ['runc', 'runsc', path] } }));
  const startIn = (...options: readonly string[]) => startTask(['--runtime', path, ...options]);

  it('a command has its streams, its rights and the environment', async () => {
    const task = await startIn('-e', 'ONE=1');
    const script = 'echo out $ONE $TWO; echo err > /dev/stderr; cat; id -u; pwd; exit 3';
    const { status, stdout, stderr } = await exec(
      ['-i', '-e', 'TWO=2', '-w', '/tmp', '-u', 'user', task.id, ...sh(script)],
      { input: 'in\n' },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 3,
      stdout: 'out 1 2\nin\n1000\n/tmp\n',
      stderr: 'err\n',
    });
    expect((await resultOf(task))?.execs).toMatchObject([{ exit: { exitCode: 3 }, error: null }]);
  });

  it.each([
    [127, [], ['no-such-command'], 'COMMAND_NOT_FOUND'],
    [127, [], ['/no/such/command'], 'COMMAND_NOT_FOUND'],
    [126, [], ['/etc/passwd'], 'COMMAND_NOT_EXECUTABLE'],
  ])('the status is %i for %j %j', async (expected, options, command, code) => {
    const { id } = await startIn();
    const { status, stderr } = await exec([...options, id, ...command]);
    expect(stderr).toContain(`[ERR_STACKSHIM_${code}]`);
    expect(status).toBe(expected);
  });

  it('a command has a terminal', async () => {
    const { id } = await startIn();
    const { status, stdout } = await exec([
      '-t',
      id,
      ...sh(`test -t 0 && test -t 2 && echo $TERM; ${isSandbox ? ':' : 'stty size'}; exit 4`),
    ]);
    expect({ status, stdout }).toEqual({
      status: 4,
      stdout: `xterm\r\n${isSandbox ? '' : '24 80\r\n'}`,
    });
  });

  it('a command is stopped by the caller’s signal', async () => {
    const { id } = await startIn();
    const started = startExec([
      id,
      ...sh('trap "echo bye; exit" TERM; echo begun; while :; do sleep 0.05; done'),
    ]);
    await started.printed('begun');
    started.child.kill('SIGTERM');
    expect(await started.ended).toMatchObject({ status: 143, stdout: 'begun\nbye\n' });
  });

  it('a command is killed when stackshim is killed', async () => {
    const { id } = await startIn();
    const script = 'trap "" TERM INT HUP; echo begun; while :; do sleep 0.05; done';
    const started = startExec([id, 'sh', '-c', script, 'mark-4712']);
    await started.printed('begun');
    const look = 'grep -l mark-471[2] /proc/[0-9]*/cmdline | wc -l';
    const isLeft = async () => Number((await exec([id, ...sh(look)])).stdout) > 0;
    expect(await isLeft()).toBe(true);
    started.child.kill('SIGKILL');
    await started.ended;
    await waitUntil(async () => !(await isLeft()));
  });

  it('a command ends with the task', async () => {
    const task = await startIn();
    const started = startExec([task.id, ...sh('trap "" TERM; echo begun; sleep 1000')]);
    await started.printed('begun');
    expect((await resultOf(task))?.verdict).toBe('cancelled');
    expect((await started.ended).status).toBe(137);
  });
});

it('a runtime of which nothing is known executes nothing', async () => {
  const path = join(folder, 'other');
  const text = `#!/bin/sh
[ "$1" = --version ] && { echo other version 1.0.0; echo spec: 1.0.0; exit; }
exec ${realRunc(installation.layout)} "$@"
`;
  writeExecutable(path, text);
  setPolicy({ allow: { runtimes: [path] } });
  const { id } = await startTask(['--runtime', path]);
  const { status, stderr } = await exec([id, 'true']);
  expect([status, stderr]).toEqual([
    125,
    expect.stringContaining('[ERR_STACKSHIM_HOST_UNSUPPORTED]'),
  ]);
});
