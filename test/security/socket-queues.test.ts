/** Data in sockets beyond a task's memory ends the task; normal use of sockets does not. Requires: root, gcc. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { compileProbes } from '../support/programs/probe-image.ts';

const { run, folder } = useTaskRunner();
const MIB = 1024 * 1024;

const code = join(folder, 'probes');
mkdirSync(code);
compileProbes(join(code, 'probe'));
const CODE = ['--code', code, '--ulimit', 'nofile=16384'];
const probe = (command: string) => ['/task/probe', ...command.split(' ')];

it.each([
  ['answers by netlink', 'queue-answers 160'],
  ['messages that are not complete', 'queue-unsent 3000'],
  ['incomplete messages in sockets that the kernel does not list', 'queue-unsent 3000 hide'],
  ['messages of single bytes, each on a page of its own', 'queue-unsent 500 pages'],
  ['connections that nobody accepts', 'queue-unaccepted 160'],
  ['connections that hold nothing', 'queue-connections 40000'],
])('a task is ended for %s', async (_, command) => {
  const { status, stderr, record } = await run(['-m', '32m', ...CODE], probe(command));
  expect(status).toBe(137);
  expect(stderr).toMatch(
    /was killed: its sockets held up to \d.* in addition to its memory, more than 32m/,
  );
  expect(record).toMatchObject({
    ...CLEAN,
    verdict: 'oom_killed',
    exitCode: null,
    signal: 'SIGKILL',
    usage: { oomKills: 0 },
  });
  expect(record?.usage.socketPeakBytes).toBeGreaterThan(32 * MIB);
});

const staysFor2s = (command: string) => [
  'sh',
  '-c',
  `/task/probe ${command} & sleep 2; kill -0 $! && echo alive; kill $!`,
];

it('a task can have 2,000 sockets', async () => {
  const { status, stdout, record } = await run(
    ['-m', '64m', ...CODE],
    staysFor2s('keep-sockets 2000'),
  );
  expect([status, stdout]).toEqual([0, '\ntried\nalive\n']);
  expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
});

it('a task can have unread data in sockets that it reads later', async () => {
  const { status, stdout, record } = await run(
    ['-m', '128m', ...CODE],
    staysFor2s('flood-sockets 80 tcp'),
  );
  expect([status, stdout]).toEqual([0, '\ntried\nalive\n']);
  const { socketPeakBytes, memoryPeakBytes } = record?.usage ?? {};
  const counted = openCgroupDriver().version === 1 ? socketPeakBytes : memoryPeakBytes;
  expect(counted).toBeGreaterThan(60 * MIB);
});
