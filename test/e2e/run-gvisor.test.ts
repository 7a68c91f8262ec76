/** gVisor by name, as the set-up installs it, beside the default runtime. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { expectRefusal } from './support/refusal.ts';
import { describeRuntime } from './support/runtime-cases.ts';

const runner = useTaskRunner();

const allow = { runtimes: ['runc', 'runsc'], devices: ['/dev/fuse'] };
beforeAll(() => runner.setPolicy({ allow }));
afterAll(() => runner.setPolicy(null));

describeRuntime(runner, 'runsc');

it('gives a task no device of the host', async () => {
  const options = ['--runtime', 'runsc', '--device', '/dev/fuse'];
  expectRefusal(await runner.run(options, ['true']), 'ERR_STACKSHIM_SPEC_INVALID');
});

it('tells its processes and its usage, unless it is paused', async () => {
  const { env } = runner.installation;
  const cli = (...args: readonly string[]) => runCli(args, { env });
  const command = sh('sleep 999 & echo ready; wait');
  const task = runner.start(['--name', 'inner', '--runtime', 'runsc'], command);
  await task.printed('ready');
  const list = JSON.parse((await cli('top', '--json', 'inner')).stdout);
  expect(list.total).toBe(2);
  expect(list.processes[0]).toMatchObject({ pid: null, taskPid: 1, user: 0, name: 'sh' });
  expect(list.processes[1]).toMatchObject({ pid: null, parentPid: 1, name: 'sleep' });
  const [found] = JSON.parse((await cli('stats', '--no-stream', '--json', 'inner')).stdout).tasks;
  expect(found.memoryBytes).toBeGreaterThan(0);
  expect(found.pids).toBeGreaterThan(1);
  await cli('pause', 'inner');
  expect(await cli('top', 'inner')).toMatchObject({
    status: 4,
    stderr: expect.stringContaining('it is paused'),
  });
  await cli('kill', 'inner');
  await task.ended;
});
