/** `stackshim exec -it` on a real terminal: size, keys, and restoring the terminal. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { STACKSHIM } from '../support/cli/run-cli.ts';
import { FIRST_SIZE, openTerminalSession } from '../support/cli/terminal-session.ts';
import { useExecTests } from './support/exec-tests.ts';

const { startTask, kill, installation } = useExecTests();

/** Executes a shell with the prompt `task> `. */
function openShell(id: string) {
  const script = `
    before=$(stty -g)
    echo device=$(tty)
    ${STACKSHIM} exec -it ${id} sh -c 'stty size; PS1="task> " exec sh'
    echo status=$?
    [ "$(stty -g)" = "$before" ] && echo restored || stty -a
  `;
  return openTerminalSession(script, installation.env);
}

it('has the terminal’s size, follows it, and passes keys on', async () => {
  const { id } = await startTask();
  const session = openShell(id);
  const tty = (await session.shown(/device=(\S+)/)).match[1] ?? '';
  const size = `${FIRST_SIZE.rows} ${FIRST_SIZE.columns}`;
  await session.shown(`${size}\r\n`);
  await session.shown(/task> /);
  execFileSync('stty', ['-F', tty, 'rows', '41', 'cols', '123']);
  session.type(`while [ "$(stty size)" = "${size}" ]; do :; done; stty size\r`);
  await session.shown(/\n41 123\r\n/);
  await session.shown(/task> /);
  session.type('echo ask; read line; echo got=$line\r');
  await session.shown(/ask\r\n/);
  session.type('typed\r');
  await session.shown(/got=typed\r\n/);
  await session.shown(/task> /);
  session.type('echo wait; sleep 1000\r');
  await session.shown(/wait\r\n/);
  session.type('\u0003');
  await session.shown(/task> /);
  session.type('exit 7\r');
  expect((await session.shown(/status=(\d+)/)).match[1]).toBe('7');
  await session.shown(/restored/);
  await session.ended;
});

it('restores the terminal when the task ends', async () => {
  const { id } = await startTask();
  const session = openShell(id);
  await session.shown(/task> /);
  await kill(id);
  expect((await session.shown(/status=(\d+)/)).match[1]).toMatch(/^1(29|37|43)$/);
  await session.shown(/restored/);
  await session.ended;
});
