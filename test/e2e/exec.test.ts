/** `stackshim exec`: a further command in a running task, with the task's rights, limits and environment. */
import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sh } from '../support/cli/shell.ts';
import { CLEAN } from '../support/cli/task-runner.ts';
import { findByArguments } from '../support/host/look-at-processes.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { useExecTests } from './support/exec-tests.ts';

const { exec, startExec, startTask, resultOf, folder } = useExecTests();

describe('a command in a task', () => {
  it('has streams and an exit status of its own', async () => {
    const task = await startTask();
    const { status, stdout, stderr } = await exec([
      task.id,
      ...sh('echo out; echo err >&2; exit 3'),
    ]);
    expect({ status, stdout, stderr }).toEqual({ status: 3, stdout: 'out\n', stderr: 'err\n' });
    const record = await resultOf(task);
    expect(record?.output).toMatchObject({ stdoutBytes: 'ready\n'.length, stderrBytes: 0 });
    expect(record).toMatchObject(CLEAN);
  });

  it('may be written after --, as in docker, and may have options of its own', async () => {
    const { id } = await startTask();
    expect(await exec([id, '--', 'echo', '-n', '--', 'x'])).toMatchObject({ stdout: '-- x' });
    expect(await exec([id, 'echo', '-e', 'x'])).toMatchObject({ stdout: 'x\n' });
  });

  it('has the namespaces, cgroup, rights and limits of the task', async () => {
    const { id } = await startTask([
      '-m',
      '64m',
      '--cap-drop',
      'KILL',
      '--ulimit',
      'nofile=100:200',
    ]);
    const look = [
      'for kind in cgroup ipc mnt net pid user uts; do readlink /proc/$1/ns/$kind; done',
      'cat /proc/$1/cgroup /proc/$1/limits /proc/$1/oom_score_adj',
      'grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/$1/status',
      'readlink /proc/$1/root',
    ].join('; ');
    const of = async (pid: string) => (await exec([id, 'sh', '-c', look, 'sh', pid])).stdout;
    const own = await of('self');
    expect(own).toContain('Seccomp:\t2');
    expect(own).toContain('NoNewPrivs:\t1');
    expect(own).toBe(await of('1'));
  });

  it('has the environment and the folder of the task’s command, and what is added', async () => {
    const code = `${folder}/code`;
    mkdirSync(code);
    const options = ['-e', 'ONE=1', '-e', 'TWO=2', '--code', code, '--payload', 'x'];
    const { id } = await startTask(options, 'env | sort > /env; echo ready; exec sleep 1000');
    const script = 'env -u SHLVL -u _ -u PWD | sort; pwd';
    const plain = await exec([id, ...sh(script)]);
    const clean = (text: string) =>
      text.split('\n').filter((line) => !/^(SHLVL|_|PWD|OLDPWD)=/.test(line));
    const { stdout } = await exec([id, 'cat', '/env']);
    expect(clean(plain.stdout)).toEqual([...clean(stdout).slice(0, -1), '/task', '']);
    const given = ['-e', 'TWO=second', '-e', 'THREE', '-w', '/tmp'];
    const added = await exec([...given, id, ...sh('echo $ONE $TWO $THREE; pwd')], {
      env: { THREE: 'third' },
    });
    expect(added.stdout).toBe('1 second third\n/tmp\n');
  });

  it('runs as another user, whose name is looked up in the image', async () => {
    const { id } = await startTask();
    const script = 'id -un; id -G; echo $HOME; grep CapEff /proc/self/status; echo x > /dev/stderr';
    const { stdout, stderr } = await exec(['-u', 'user', id, ...sh(script)]);
    expect(stdout).toBe('user\n1000 50\n/home/user\nCapEff:\t0000000000000000\n');
    expect(stderr).toBe('x\n');
    const numbers = await exec([
      '-u',
      '7:8',
      '-e',
      'HOME=/x',
      id,
      ...sh('id -u; id -G; echo $HOME'),
    ]);
    expect(numbers.stdout).toBe('7\n8\n/x\n');
  });

  it('reads standard input with -i, and nothing without', async () => {
    const { id } = await startTask();
    const input = 'x'.repeat(300_000);
    expect((await exec(['-i', id, 'wc', '-c'], { input })).stdout.trim()).toBe('300000');
    expect((await exec([id, 'wc', '-c'], { input })).stdout.trim()).toBe('0');
  });

  it('passes on large output completely', async () => {
    const { id } = await startTask();
    const { stdoutBytes } = await exec([id, ...sh('head -c 20000000 /dev/zero')]);
    expect(stdoutBytes.length).toBe(20_000_000);
  });

  it('has no descriptor but its three streams', async () => {
    const { id } = await startTask();
    const { stdout } = await exec([
      id,
      ...sh('exec 2>&1; for fd in /proc/self/fd/*; do readlink $fd; done'),
    ]);
    const open = stdout.trim().split('\n');
    expect(
      open.filter((name) => !/^(pipe:\[\d+\]|\/dev\/null|\/null|\/\d+( \(deleted\))?)$/.test(name)),
    ).toEqual([]);
  });
});

describe('the exit status is', () => {
  it.each([
    [127, ['no-such-command']],
    [127, ['/no/such/command']],
    [126, ['/etc/passwd']],
    [126, ['/tmp']],
    [137, sh('kill -9 $$')],
    [143, sh('kill $$')],
    [255, sh('exit 255')],
  ])('%i for %j', async (expected, command) => {
    const { id } = await startTask();
    expect((await exec([id, ...command])).status).toBe(expected);
  });

  it('126 for a file that the kernel does not execute', async () => {
    const { id } = await startTask(
      [],
      'echo "#!/nowhere" > /bad; chmod +x /bad; echo ready; exec sleep 1000',
    );
    const { status, stderr } = await exec([id, '/bad']);
    expect([status, stderr]).toEqual([126, expect.stringContaining('ERR_STACKSHIM_COMMAND_NOT_')]);
  });

  it.each([
    ['an unknown user', ['-u', 'stranger'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a user outside of the task', ['-u', '70000'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a relative folder', ['-w', 'tmp'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a folder that does not exist', ['-w', '/nowhere'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a folder that is a file', ['-w', '/etc/passwd'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['an empty command', [], [''], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['an empty variable', ['-e', '=x'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['an option that does not exist', ['--nosuch'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
    ['a terminal without one', ['-it'], ['true'], 'ERR_STACKSHIM_SPEC_INVALID'],
  ])('125 for %s', async (_, options, command, code) => {
    const { id } = await startTask();
    const { status, stderr, stdout } = await exec([...options, id, ...command]);
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' });
    expect(stderr).toContain(`[${code}]`);
  });

  it('125 without a command', async () => {
    const { id } = await startTask();
    for (const args of [[], [id], [id, '--']]) expect((await exec(args)).status).toBe(125);
  });
});

describe('a command that is stopped', () => {
  const WAITING =
    'trap "echo got $0; exit 5" INT TERM HUP; echo begun; while :; do sleep 0.05; done';

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('gets %s', async (signal, status) => {
    const { id } = await startTask();
    const started = startExec([id, 'sh', '-c', WAITING, signal]);
    await started.printed('begun');
    started.child.kill(signal);
    expect(await started.ended).toMatchObject({ status, stdout: `begun\ngot ${signal}\n` });
  });

  it('is ended by a signal that it does not handle', async () => {
    const { id } = await startTask();
    const started = startExec([id, ...sh('echo begun; exec sleep 777')]);
    await started.printed('begun');
    started.child.kill('SIGINT');
    expect((await started.ended).status).toBe(130);
  });

  it('is killed by the second signal', async () => {
    const { id } = await startTask();
    const script = 'trap "echo no" INT; echo begun; while :; do sleep 0.05; done';
    const started = startExec([id, ...sh(script)]);
    await started.printed('begun');
    started.child.kill('SIGINT');
    await started.printed('no');
    started.child.kill('SIGINT');
    expect((await started.ended).status).toBe(130);
  });

  it('is killed when nobody reads its output any more', async () => {
    const { id } = await startTask();
    const started = startExec([id, ...sh('echo begun; while :; do echo more; done')]);
    await started.printed('begun');
    started.child.stdout?.destroy();
    expect((await started.ended).status).toBe(141);
  });

  it('is killed when stackshim is killed', async () => {
    const { id } = await startTask();
    const started = startExec([id, ...sh('echo begun; trap "" INT TERM HUP; sleep 4711')]);
    await started.printed('begun');
    await waitUntil(() => findByArguments((args) => args.includes('4711')).length > 0);
    started.child.kill('SIGKILL');
    await started.ended;
    await waitUntil(() => findByArguments((args) => args.includes('4711')).length === 0);
    expect((await exec([id, 'true'])).status).toBe(0);
  });
});
