/** `stackshim stats` and `top`: what tasks use, and their processes, for people and for programs. */
import { describe, expect, it } from 'vitest';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { FIRST_SIZE, openTerminalSession } from '../support/cli/terminal-session.ts';

const { installation, start } = useTaskRunner();
const { env } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });
const MIB = 1024 * 1024;
const WAITING = sh('echo ready; exec sleep 1000');

async function started(id: string, options: readonly string[] = [], command = WAITING) {
  const task = start(['--name', id, ...options], command);
  await task.printed('ready');
  return task;
}

const end = async (task: Awaited<ReturnType<typeof started>>, id: string) => {
  await cli('kill', id);
  await task.ended;
};

describe('stats', () => {
  it('has what a task uses, its limits and its peaks', async () => {
    const busy = 'head -c 5000000 /dev/zero > /file; echo ready; while :; do :; done';
    const options = ['-m', '64m', '--pids-limit', '40', '--cpus', '0.5', '--label', 'job=7'];
    const task = await started('busy', options, sh(busy));
    const { status, stdout } = await cli('stats', '--no-stream', '--json', 'busy');
    expect(status).toBe(0);
    expect(stdout.match(/\n/g)).toHaveLength(1);
    const look = JSON.parse(stdout);
    expect(look).toMatchObject({ at: expect.stringMatching(/^\d{4}-.*Z$/), corrupt: [] });
    expect(look.tasks).toHaveLength(1);
    const [found] = look.tasks;
    expect(found).toMatchObject({
      id: 'busy',
      stack: 'busybox',
      revision: 1,
      tenant: null,
      state: 'running',
      labels: { job: '7' },
      memoryLimitBytes: 64 * MIB,
      pids: 1,
      pidsLimit: 40,
      oomKills: 0,
    });
    expect(found.cpuPercent).toBeGreaterThan(1);
    expect(found.cpuPercent).toBeLessThan(90);
    expect(found.cpuMs).toBeGreaterThan(0);
    expect(found.memoryBytes).toBeGreaterThan(0);
    expect(found.memoryBytes).toBeLessThanOrEqual(found.memoryPeakBytes);
    expect(found.memoryPercent).toBeCloseTo((found.memoryBytes / (64 * MIB)) * 100, 5);
    expect(found.diskBytes).toBeGreaterThan(5_000_000);
    expect(found.diskBytes).toBeLessThan(8_000_000);
    const table = await cli('stats', '--no-stream');
    expect(table.stdout).toMatch(
      /^ID {3,}STACK {3,}CPU % {3,}MEM USAGE \/ LIMIT {3,}MEM % {3,}PIDS {3,}BLOCK I\/O {3,}DISK {3,}MEM PEAK {3,}PIDS PEAK\n/,
    );
    expect(table.stdout).toMatch(/\nbusy {3,}busybox {3,}[\d.]+% {3,}[\d.]+ \w+ \/ 64 MiB {3,}/);
    await end(task, 'busy');
  });

  it('without tasks prints a header, and an empty list', async () => {
    expect((await cli('stats')).stdout).toMatch(/^ID [^\n]*\n$/);
    expect(
      JSON.parse((await cli('stats', '--no-stream', '--format', 'json')).stdout),
    ).toMatchObject({
      tasks: [],
      corrupt: [],
    });
  });

  it('prints a line of JSON each second until all named tasks have ended', async () => {
    const one = await started('one');
    const two = await started('two');
    const watching = startCli(['stats', '--json', 'one'], { env });
    await watching.printed('"cpuPercent":0');
    await end(one, 'one');
    const { status, stdout } = await watching.ended;
    expect(status).toBe(0);
    const looks = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(looks.length).toBeGreaterThan(2);
    expect(looks[0].tasks).toMatchObject([{ id: 'one', cpuPercent: null }]);
    expect(looks.at(-1).tasks).toEqual([]);
    for (const { tasks } of looks) expect(tasks.length).toBeLessThan(2);
    await end(two, 'two');
  });

  it('ends when its reader has gone, and when it is asked to', async () => {
    const task = await started('one');
    const piped = await runCli([], {
      env,
      through: ['sh', '-c', `${STACKSHIM} stats --json | head -n 1`],
    });
    expect(piped.status).toBe(0);
    const watching = startCli(['stats', '--json'], { env });
    await watching.printed('"id":"one"');
    watching.child.kill('SIGINT');
    expect((await watching.ended).status).toBe(0);
    await end(task, 'one');
  });

  it('draws its table again on a terminal, no wider and no longer than the terminal', async () => {
    const id = `long-${'x'.repeat(50)}`;
    const task = await started(id);
    const session = openTerminalSession(`exec ${STACKSHIM} stats`, env);
    await session.shown('\u001b[H\u001b[J');
    const { before } = await session.shown('\u001b[H');
    for (const line of before.split('\u001b[K\r\n')) {
      expect([...line].length).toBeLessThanOrEqual(FIRST_SIZE.columns + 3);
    }
    await session.shown(id);
    session.type('\u0003');
    expect(await session.ended).toBe(0);
    await end(task, id);
  });

  it('shows a paused task and one without an owner', async () => {
    const paused = await started('paused');
    const orphan = await started('orphan');
    await cli('pause', 'paused');
    orphan.child.kill('SIGKILL');
    await orphan.ended;
    const { stdout } = await cli('stats', '--no-stream', '--json');
    const states = JSON.parse(stdout).tasks.map(({ id, state }: { id: string; state: string }) => [
      id,
      state,
    ]);
    expect(states).toEqual([
      ['paused', 'paused'],
      ['orphan', 'orphaned'],
    ]);
    await cli('kill', 'paused', 'orphan');
    await paused.ended;
  });
});

describe('top', () => {
  it('lists the processes of a task, as the host and the task know them', async () => {
    const script = 'su -s /bin/sh nobody -c "exec sleep 999" & echo ready; wait';
    const task = await started('one', [], sh(script));
    let listed: readonly { command: readonly string[] | null }[] = [];
    do {
      listed = JSON.parse((await cli('top', '--json', 'one')).stdout).processes;
    } while (!listed.some(({ command }) => command?.includes('999')));
    const { stdout } = await cli('top', 'one');
    const [header, ...rows] = stdout.trimEnd().split('\n');
    expect(header?.split(/ {3,}/)).toEqual([
      ...['PID', 'TASK PID', 'PPID', 'USER', 'STATE', 'TIME', 'COMMAND'],
    ]);
    const cells = rows.map((row) => row.split(/ {3,}/));
    expect(cells[0]?.slice(1)).toEqual([
      ...['1', expect.stringMatching(/^\d+$/), '0', 'S', '00:00:00'],
      `sh -c ${script}`,
    ]);
    expect(cells.find((row) => row.at(-1) === 'sleep 999')?.slice(3, 6)).toEqual([
      '65534',
      'S',
      '00:00:00',
    ]);
    await end(task, 'one');
  });

  it('cannot be made to control a terminal, and cuts arguments', async () => {
    const hostile = '\u001b]0;owned\u0007\nfake';
    const task = await started('x', [], [...WAITING, hostile]);
    const long = await started(
      'long',
      [],
      [...sh('echo ready; sleep 1000; true'), 'y'.repeat(100_000)],
    );
    const { stdout } = await cli('top', 'x');
    expect(stdout).not.toContain('\u001b');
    expect(stdout.match(/\n/g)).toHaveLength(2);
    const list = JSON.parse((await cli('top', '--format', 'json', 'long')).stdout);
    expect(list.total).toBe(2);
    expect(list.processes[0].command.join(' ').length).toBeLessThanOrEqual(4_096);
    await cli('kill', 'x', 'long');
    await Promise.all([task.ended, long.ended]);
  });
});
