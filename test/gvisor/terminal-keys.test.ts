/** Keys reach a task in gVisor as elsewhere: an interrupt reaches its foreground processes, and none of stackshim's. */
import { expect, it } from 'vitest';
import { STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { openTerminalSession } from '../support/cli/terminal-session.ts';

const { installation } = useTaskRunner();

it('Ctrl-C interrupts the foreground process; a process that handles it continues', async () => {
  // The process that is to be interrupted prints when it runs.
  const script = `trap "echo caught" INT; (echo ready; exec sleep 3600); echo after; read word; echo "$word"; exit 7`;
  const session = openTerminalSession(
    `${STACKSHIM} run -it busybox sh -c '${script}'; echo status=$?`,
    installation.env,
  );
  await session.shown(/ready/);
  session.type('\u0003');
  await session.shown(/caught\r+\n/);
  await session.shown(/after/);
  session.type('typed\r');
  const { match } = await session.shown(/status=(\d+)/);
  expect(match[1]).toBe('7');
  await session.ended;
});
