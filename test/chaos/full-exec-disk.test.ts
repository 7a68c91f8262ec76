/** The run folder is full: a further command is refused and leaves nothing, and one that runs ends as it does otherwise. Requires: root. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { namesIn } from '../../src/sys/files.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { emptyDisk, fillDisk } from './support/small-disk.ts';

const { installation, folder, start } = useTaskRunner();
const { layout, env } = installation;
const go = join(folder, 'go');

const exec = (...command: readonly string[]) => ['exec', 'full', '--', ...command];

beforeAll(() => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=755', 'none', layout.run]);
});
afterAll(() => {
  execFileSync('umount', ['-l', layout.run]);
});

it('commands in a task whose run folder is full', async () => {
  const wait = 'while ! [ -e /shared/go ]; do sleep 0.1; done';
  const task = start(
    ['--name', 'full', '-v', `${folder}:/shared:ro`],
    ['sh', '-c', `echo ready; while ! [ -e /end ]; do sleep 0.1; done`],
  );
  await task.printed('ready');
  const begun = startCli(exec('sh', '-c', `echo begun; ${wait}; exit 5`), { env });
  await begun.printed('begun');
  fillDisk(layout.run, 0);
  for (let i = 0; i < 3; i += 1) {
    const { status, stderr } = await runCli(exec('true'), { env });
    expect([status, stderr]).toEqual([125, expect.stringContaining('[ERR_STACKSHIM_DISK_FULL]')]);
  }
  expect(namesIn(`${layout.run}/tasks/full/execs`)).toHaveLength(1);
  writeFileSync(go, '');
  expect(await begun.ended).toMatchObject({ status: 5 });
  emptyDisk(layout.run);
  expect(await runCli(exec('touch', '/end'), { env })).toMatchObject({ status: 0 });
  const { record } = await task.ended;
  expect(record).toMatchObject({ verdict: 'succeeded', removed: true });
  expect(record?.execs?.map(({ error }) => error)).toEqual([null, null]);
});
