/** No process of a task survives it, in the task's own pid namespace and in the host's. Requires: root. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { findByArguments } from '../support/host/look-at-processes.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, setPolicy } = useTaskRunner();
const { env } = installation;

/** A word in the arguments of every process that a test starts. */
const mark = `stay-${randomBytes(4).toString('hex')}`;
const left = () => findByArguments((args) => args.some((arg) => arg.includes(mark)));

/** Ignores every signal that can be ignored, and prints when it runs. Tasks have it as `$DEAF`. */
const deaf = `trap "" HUP INT TERM QUIT USR1 USR2; : ${mark}; : > /tmp/up; while :; do sleep 0.05; done`;
const STAYERS: readonly (readonly [string, string])[] = [
  ['forked twice', '( (sh -c "$DEAF" &) & )'],
  ['in its own session', 'setsid sh -c "$DEAF" &'],
  ['in its own session, forked twice', '(setsid sh -c \'(sh -c "$DEAF" &) &\' &)'],
  ['deaf to signals', 'sh -c "$DEAF" &'],
];
const UP = 'until [ -e /tmp/up ]; do sleep 0.01; done';
const all = STAYERS.map(([, script]) => script).join('\n');
const waitForStayers = () => waitUntil(() => left().length >= STAYERS.length);

const GIVEN = ['-e', `DEAF=${deaf}`];
const modes = [
  ['its own pid namespace', GIVEN],
  ['its own pid namespace, as root of the host', [...GIVEN, '--userns', 'host']],
  ["the host's pid namespace", [...GIVEN, '--userns', 'host', '--pid', 'host']],
] as const;

beforeAll(() => setPolicy({ allow: { pid: ['private', 'host'] } }));

describe.each(modes)('in %s', (_, options) => {
  it.each(STAYERS)('a process that is %s ends with the task', async (_how, script) => {
    const { status, record } = await run([...options], sh(`${script}\n${UP}; exit 7`));
    expect(status).toBe(7);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 7 });
    expect(left()).toEqual([]);
  });

  it('all processes end at a timeout', async () => {
    const stops = ['--timeout', '700ms', '--stop-timeout', '100ms'];
    const { status, record } = await run([...options, ...stops], sh(`${all}\nexec sleep 600`));
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
    expect(left()).toEqual([]);
  });

  it('TERM reaches every process and leaves time to handle it', async () => {
    const child = 'trap "echo child; exit" TERM; echo ready; while :; do sleep 0.02; done';
    const script = `setsid sh -c '${child}' & trap "wait; echo parent; exit 3" TERM; wait`;
    const task = start([...options, '--stop-timeout', '1h'], sh(script));
    await task.printed('ready');
    task.child.kill('SIGTERM');
    const { status, stdout, record } = await task.ended;
    expect({ status, stdout }).toEqual({ status: 143, stdout: 'ready\nchild\nparent\n' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 3 });
  });

  it('`kill` from another process ends all of them', async () => {
    const task = start([...options, '--name', 'victim'], sh(`${all}\necho ready; exec sleep 600`));
    await task.printed('ready');
    await waitForStayers();
    const { stdout } = await runCli(['ps', '--json'], { env });
    const [listed] = JSON.parse(stdout).tasks;
    expect(listed).toMatchObject({ id: 'victim', state: 'running', pid: expect.any(Number) });
    const killed = await runCli(['kill', '--stop-timeout', '100ms', 'victim'], { env });
    expect(killed.status).toBe(0);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
    expect(left()).toEqual([]);
  });

  it('`reap` ends all of them after the owner was killed', async () => {
    const task = start([...options, '--name', 'orphan'], sh(`${all}\necho ready; exec sleep 600`));
    await task.printed('ready');
    await waitForStayers();
    task.child.kill('SIGKILL');
    await task.ended;
    const { status, stdout } = await runCli(['reap', '--json'], { env });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).reaped).toEqual([{ id: 'orphan', removed: true, leftovers: [] }]);
    expect(left()).toEqual([]);
  });

  it('a fork bomb ends as well', async () => {
    const storm = `storm() { : ${mark}; storm & storm & }; storm; exec sleep 600`;
    const limits = ['--pids-limit', '60', '--timeout', '500ms', '--stop-timeout', '0'];
    const { status, record } = await run([...options, ...limits], sh(storm));
    expect(status).toBe(124);
    expect(record).toMatchObject(CLEAN);
    expect(left()).toEqual([]);
  });
});

describe("the host's pid namespace", () => {
  it('shows the processes of the host, and keeps the command’s exit status', async () => {
    const script = `[ -d /proc/${process.pid} ] && exit 9`;
    const { status, record } = await run(['--userns', 'host', '--pid', 'host'], sh(script));
    expect(status).toBe(9);
    expect(record).toMatchObject({ ...CLEAN, exitCode: 9 });
  });

  it('reports the signal that ended the command', async () => {
    const { status, record } = await run(
      ['--userns', 'host', '--pid', 'host'],
      sh('kill -USR1 $$; sleep 600'),
    );
    expect(status).toBe(128 + 10);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'signaled', signal: 'SIGUSR1' });
  });

  it('is denied unless the policy allows it', async () => {
    setPolicy(null);
    const { status, stderr } = await run(['--userns', 'host', '--pid', 'host'], ['true']);
    setPolicy({ allow: { pid: ['private', 'host'] } });
    expect(status).toBe(125);
    expect(stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
  });
});
