/** `stackshim run` that is stopped, for example by Ctrl-Z: its task's timeout still holds, and its result is true. */
import { chmodSync, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StartedCli, startCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { findByArguments } from '../support/host/look-at-processes.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { start, folder, installation } = useTaskRunner();

/** Starts a task that exceeds its timeout and reports its start and its end in its own folder. */
function startLate(name: string, { limit, seconds }: { limit: number; seconds: number }) {
  const trace = mkdtempSync(`${folder}/trace-`);
  chmodSync(trace, 0o777);
  const script = [
    'cat /proc/uptime > /trace/begin; echo begun',
    `i=0; while [ $i -lt ${seconds * 20} ]; do sleep 0.05; i=$((i+1)); done`,
    `cat /proc/uptime > /trace/end; : ${name}`,
  ].join('; ');
  const task = start(
    ['--name', name, '--timeout', `${limit}s`, '-v', `${trace}:/trace`],
    ['sh', '-c', script],
  );
  const at = (file: string) =>
    Number(readFileSync(`${trace}/${file}`, 'utf8').split(' ')[0]) * 1_000;
  return {
    ...task,
    /** Pids on the host; a process that has ended has no arguments any more. */
    isRunning: () =>
      findByArguments(([program, , text]) => program === 'sh' && text === script).length > 0,
    hasEnded: () => existsSync(`${trace}/end`),
    tookMs: () => at('end') - at('begin'),
  };
}

describe('a stopped run', () => {
  let watching: StartedCli;
  beforeEach(() => {
    watching = startCli(['reap', '--watch'], { env: installation.env });
  });
  afterEach(async () => {
    watching.child.kill('SIGTERM');
    await watching.ended;
  });

  it('does not stop the clock of its task', async () => {
    const task = startLate('held-to-its-time', { limit: scaled(1), seconds: scaled(8) });
    await task.printed('begun');
    task.child.kill('SIGSTOP');
    await waitUntil(() => !task.isRunning());
    expect(task.hasEnded()).toBe(false);
    task.child.kill('SIGCONT');
    const { status, record } = await task.ended;
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out', signal: 'SIGKILL' });
  });
});

it('reports a timeout for a task that took too long, even if the task ended by itself', async () => {
  const task = startLate('ended-late', { limit: scaled(1), seconds: scaled(2) });
  await task.printed('begun');
  task.child.kill('SIGSTOP');
  await waitUntil(() => !task.isRunning());
  // Its owner learns of the end much later.
  const noticedAt = performance.now() + scaled(2_000);
  await waitUntil(() => performance.now() > noticedAt);
  task.child.kill('SIGCONT');
  const { status, record } = await task.ended;
  expect(status).toBe(124);
  expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
  if (task.hasEnded()) {
    expect(record?.usage.wallMs).toBeLessThan(task.tookMs() + scaled(1_000));
  }
});
