/** The folder of the reports contains what is no report. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { reportsDir } from '../../src/core/layout.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';

const { installation } = useTaskRunner();
const { env, layout } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });

it('a file that somebody put beside the reports stops neither gc nor df, and is no task', async () => {
  await cli('run', '--log', '--name', 'known', 'busybox', 'true');
  const stray = `${reportsDir(layout)}/notes`;
  writeFileSync(stray, 'remember');
  try {
    for (const command of ['gc', 'df']) expect(await cli(command)).toMatchObject({ status: 0 });
    expect(await cli('ps', '-a', '-q')).toMatchObject({ stdout: 'known\n', stderr: '' });
    expect(readFileSync(stray, 'utf8')).toBe('remember');
  } finally {
    rmSync(stray);
    await cli('rm', 'known');
  }
});

it('a damaged end hides the result, not the log, and can be removed', async () => {
  await cli('run', '--log', '--name', 'hurt', 'busybox', 'echo', 'out');
  writeFileSync(`${reportsDir(layout)}/hurt/end.json`, 'damaged');
  for (const command of ['wait', 'inspect']) {
    const { status, stderr } = await cli(command, 'hurt');
    expect(status).toBe(1);
    expect(stderr).toContain('run stackshim rm ID to remove what that task has left');
  }
  for (const follow of [[], ['-f']]) {
    expect(await cli('logs', ...follow, 'hurt')).toMatchObject({ status: 0, stdout: 'out\n' });
  }
  expect(await cli('rm', 'hurt')).toMatchObject({ status: 0, stdout: 'hurt\n' });
});
