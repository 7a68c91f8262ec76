/** `stackshim run -t` on a real terminal: size, keys, and restoring the terminal. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { isOwnerAlive, readProcess } from '../../src/sys/processes.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import {
  FIRST_SIZE,
  openTerminalSession,
  type TerminalSession,
} from '../support/cli/terminal-session.ts';
import { findByArguments } from '../support/host/look-at-processes.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run } = useTaskRunner();
const { env, layout } = installation;

let sessions = 0;
/** Id of the task in the latest session. */
const taskId = () => parseTaskId(`session-${sessions}`);

interface RunOnTerminal {
  readonly options?: string;
  /** The prompt of the shell in the task. */
  readonly command: string;
  /** Settings to find again afterwards. */
  readonly settings?: string;
}

/** Runs a command in a task on a terminal, and compares the terminal's settings before and after. */
function runOnTerminal({
  options = '-it',
  command,
  settings = '',
}: RunOnTerminal): TerminalSession {
  sessions += 1;
  const script = `
    stty ${settings} sane ${settings}
    before=$(stty -g)
    echo device=$(tty)
    ${STACKSHIM} run --name ${taskId()} ${options} busybox ${command}
    echo status=$?
    [ "$(stty -g)" = "$before" ] && echo restored || stty -a
  `;
  return openTerminalSession(script, env);
}

/** Waits for the end of the session: returns the exit status of `run`, and whether the terminal was restored. */
async function endOf(session: TerminalSession): Promise<{ status: number; restored: boolean }> {
  const { before, match } = await session.shown(/status=(\d+)/);
  expect(before).not.toContain('is not removed');
  await session.shown(/restored/);
  await session.ended;
  return { status: Number(match[1]), restored: true };
}

const device = async (session: TerminalSession) =>
  (await session.shown(/device=(\S+)/)).match[1] ?? '';
const SHELL = `sh -c 'stty size; PS1="task> " exec sh'`;
const PROMPT = /task> /;

describe('size', () => {
  it('is that of the caller’s terminal, and follows its changes', async () => {
    const session = runOnTerminal({ command: SHELL });
    const tty = await device(session);
    await session.shown(new RegExp(`${FIRST_SIZE.rows} ${FIRST_SIZE.columns}\r\n`));
    await session.shown(PROMPT);
    execFileSync('stty', ['-F', tty, 'rows', '41', 'cols', '123']);
    session.type(
      `while [ "$(stty size)" = "${FIRST_SIZE.rows} ${FIRST_SIZE.columns}" ]; do :; done; stty size\r`,
    );
    await session.shown(/\n41 123\r\n/);
    session.type('exit 7\r');
    expect(await endOf(session)).toEqual({ status: 7, restored: true });
  });

  it('follows the caller’s terminal even if output goes elsewhere', async () => {
    const session = openTerminalSession(
      `${STACKSHIM} run -it busybox stty size | cat; echo over`,
      env,
    );
    await session.shown(new RegExp(`${FIRST_SIZE.rows} ${FIRST_SIZE.columns}`));
    await session.shown(/over/);
    await session.ended;
  });

  it('follows the caller’s terminal without -i', { tags: ['gvisor/terminal-name'] }, async () => {
    const session = runOnTerminal({ options: '-t', command: `sh -c 'stty size; tty; test -t 0'` });
    await session.shown(new RegExp(`${FIRST_SIZE.rows} ${FIRST_SIZE.columns}\r+\n/dev/pts/0\r+\n`));
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });
});

describe('keys', () => {
  it('reach the task unchanged: Ctrl-C interrupts only its foreground process', {
    tags: ['gvisor/host-pids'],
  }, async () => {
    const session = runOnTerminal({ command: SHELL });
    await session.shown(PROMPT);
    session.type('sleep 54321; echo code=$?\r');
    await waitUntil(() => findByArguments((args) => args.includes('54321')).length === 1);
    session.type('\u0003');
    await session.shown(PROMPT);
    session.type('echo still=$((1+1)) here\r');
    await session.shown(/still=2 here/);
    session.type('exit 9\r');
    expect(await endOf(session)).toEqual({ status: 9, restored: true });
  });

  it('are echoed only by the task, and only if the task wants echo', async () => {
    const session = runOnTerminal({
      command: `sh -c 'stty -echo; echo ask; read secret; stty echo; echo got=$secret; read name; echo hello $name'`,
    });
    await session.shown(/ask\r\n/);
    session.type('quiet\r');
    const { before } = await session.shown(/got=quiet\r\n/);
    expect(before).not.toContain('quiet');
    session.type('loud\r');
    await session.shown(/^loud\r\nhello loud\r\n/);
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });

  it('end the input with Ctrl-D', async () => {
    const session = runOnTerminal({ command: `sh -c 'cat; echo ended'` });
    session.type('one\r');
    await session.shown(/one\r\none\r\n/);
    session.type('\u0004');
    await session.shown(/ended\r\n/);
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });

  it('stop and continue jobs of the task with Ctrl-Z', { tags: ['gvisor/host-pids'] }, async () => {
    const session = runOnTerminal({ command: SHELL });
    await session.shown(PROMPT);
    session.type('sleep 54321\r');
    const [sleep] = await waitUntil(() => {
      const found = findByArguments((args) => args.includes('54321'));
      return found.length === 1 && found;
    });
    session.type('\u001a');
    await session.shown(/Stopped/);
    await session.shown(PROMPT);
    session.type('fg\r');
    await waitUntil(() => readProcess(sleep ?? 0)?.state === 'S');
    session.type('\u0003');
    await session.shown(PROMPT);
    session.type('exit 0\r');
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });

  it('reach a task that runs as another user', { tags: ['gvisor/terminal-name'] }, async () => {
    const session = runOnTerminal({
      options: '-it -u user',
      command: `sh -c 'id -un; echo direct > /dev/tty; exec 3<>/dev/tty; test -t 3'`,
    });
    await session.shown(/user\r\ndirect\r\n/);
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });
});

describe('the caller’s terminal is restored', () => {
  it.each(['-echo', '-ixon', 'intr ^X', '-icanon min 5 time 3'])('with %s', async (settings) => {
    const session = runOnTerminal({ command: 'true', settings });
    expect(await endOf(session)).toEqual({ status: 0, restored: true });
  });

  it('after the task was killed', async () => {
    const session = runOnTerminal({ command: SHELL });
    await session.shown(PROMPT);
    expect(await runCli(['kill', taskId()], { env })).toMatchObject({ status: 0 });
    expect(await endOf(session)).toEqual({ status: 143, restored: true });
  });

  it('after a timeout', async () => {
    const session = runOnTerminal({ options: '-it --timeout 300ms', command: 'sleep 1000' });
    expect(await endOf(session)).toEqual({ status: 124, restored: true });
  });

  it('after a task that could not be started', async () => {
    const session = runOnTerminal({ command: 'no-such-command' });
    await session.shown(/\[ERR_STACKSHIM_COMMAND_NOT_FOUND\]\r\n/);
    expect(await endOf(session)).toEqual({ status: 127, restored: true });
  });

  it('after options that were refused', async () => {
    const session = runOnTerminal({ options: '-it -m 1k', command: 'true' });
    await session.shown(/\[ERR_STACKSHIM_SPEC_INVALID\]\r\n/);
    expect(await endOf(session)).toEqual({ status: 125, restored: true });
  });
});

it('a task is ended and removed when the terminal goes away', async () => {
  const session = runOnTerminal({ command: SHELL });
  await session.shown(PROMPT);
  const { owner } = JSON.parse(readFileSync(`${taskDir(layout, taskId())}/record.json`, 'utf8'));
  session.hangUp();
  await session.ended;
  await waitUntil(() => !existsSync(taskDir(layout, taskId())));
  await waitUntil(() => !isOwnerAlive(owner));
});

describe('without a terminal of the caller', () => {
  it('-t gives the task a terminal of the default size', {
    tags: ['gvisor/terminal-name'],
  }, async () => {
    const { status, stdout } = await run(['-t'], ['sh', '-c', 'tty; stty size; exit 5']);
    expect({ status, stdout }).toEqual({ status: 5, stdout: '/dev/pts/0\r\n24 80\r\n' });
  });

  it('-t with -i is refused, because no terminal can be made raw', async () => {
    const { status, stderr, record } = await run(['-it'], ['true'], { input: 'x' });
    expect({ status, record }).toEqual({ status: 125, record: undefined });
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
    expect(stderr).toContain('leave out -t');
  });
});
