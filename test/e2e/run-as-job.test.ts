/** `run` as a job of a shell: which signals it handles, and that no signal makes it abandon its task. Requires: root. */
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { start } = useTaskRunner();

const ENDS_ITSELF = 'echo ready; until [ -e /tmp/go ]; do sleep 0.02; done; exit 5';
/** A trapped signal interrupts `wait`; children of a shell ignore INT and QUIT. */
const traps = (signal: string) => `trap 'echo got; exit 6' ${signal}; echo ready; sleep 600 & wait`;

describe('a signal that is ignored when run starts', () => {
  it.each(['HUP', 'INT', 'QUIT', 'TERM'])('%s stays ignored', async (signal) => {
    const script = `${traps('HUP INT QUIT TERM')}`;
    const through = ['sh', '-c', `trap '' ${signal}; exec "$@"`, 'sh'];
    const other = signal === 'TERM' ? 'SIGINT' : 'SIGTERM';
    const task = start(['--stop-timeout', '1h'], sh(script), { through });
    await task.printed('ready');
    task.child.kill(`SIG${signal}` as NodeJS.Signals);
    task.child.kill(other);
    const { status, record } = await task.ended;
    // If the first signal were handled, the status would be its number.
    expect(status).toBe(128 + constants.signals[other]);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 6 });
  });
});

it('a caller that ignores SIGCHLD does not pass that on to the task', async () => {
  const through = ['env', '--ignore-signal=CHLD'];
  const { status, record } = await start([], sh('exit 7'), { through }).ended;
  expect(status).toBe(7);
  expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 7 });
});

describe('a signal that would end run', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s is passed on to the task',
    async (signal) => {
      const task = start(['--stop-timeout', '1h'], sh(traps(signal.slice(3))));
      await task.printed('ready');
      task.child.kill(signal);
      const { status, stdout, stderr, record } = await task.ended;
      expect({ status, stdout }).toEqual({
        status: 128 + constants.signals[signal],
        stdout: 'ready\ngot\n',
      });
      expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 6 });
      expect(stderr.includes('interrupt again to kill it')).toBe(signal === 'SIGINT');
    },
  );

  it.each(['SIGALRM', 'SIGVTALRM', 'SIGABRT', 'SIGXCPU', 'SIGIO'] as const)(
    '%s leaves nothing of the task',
    async (signal) => {
      const task = start(['--stop-timeout', '1h'], sh('echo ready; exec sleep 600'));
      await task.printed('ready');
      task.child.kill(signal);
      const { status, record } = await task.ended;
      expect(status).toBe(128 + constants.signals[signal]);
      expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', signal: 'SIGKILL' });
    },
  );

  it('a task that does not handle INT gets its stop signal instead', async () => {
    const script = `trap '' INT; ${traps('TERM')}`;
    const task = start(['--stop-timeout', '1h'], sh(script));
    await task.printed('ready');
    task.child.kill('SIGINT');
    expect(await task.ended).toMatchObject({ status: 130, stdout: 'ready\ngot\n' });
  });
});

describe('USR1 and USR2', () => {
  it.each(['USR1', 'USR2'])(
    '%s reaches a task that handles it, and the task continues',
    async (signal) => {
      const script = `trap 'echo got; : > /tmp/go' ${signal}; ${ENDS_ITSELF}`;
      const task = start([], sh(script));
      await task.printed('ready');
      task.child.kill(`SIG${signal}` as NodeJS.Signals);
      const { status, stdout, record } = await task.ended;
      expect({ status, stdout }).toEqual({ status: 5, stdout: 'ready\ngot\n' });
      expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 5 });
    },
  );

  it('do nothing to a task that does not handle them', async () => {
    const script = `trap ': > /tmp/go' USR2; ${ENDS_ITSELF}`;
    const task = start([], sh(script));
    await task.printed('ready');
    task.child.kill('SIGUSR1');
    task.child.kill('SIGUSR2');
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 5 });
  });
});
