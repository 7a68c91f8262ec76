/** Options of `run` that change what the command sees and can do, each observed by the command itself. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_BIND_OWNER_ID } from '../../src/core/host-ids.ts';
import { slotIds } from '../../src/task/admission/slot.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, start, folder, setPolicy } = useTaskRunner();
const MIB = 1024 * 1024;

/** The output of a task that must succeed. */
async function print(options: readonly string[], command: readonly string[]): Promise<string> {
  const { status, stdout, stderr, record } = await run(options, command);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  return stdout;
}

function makeFile(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('environment', () => {
  it('contains the documented variables, and nothing of the caller', async () => {
    const options = ['--name', 'env-1', '--timeout', '59500ms', '-m', '64m'];
    const { stdout } = await run(options, ['env'], { env: { SECRET: 'x', TASK_DIR: '/nowhere' } });
    expect(stdout.trimEnd().split('\n').sort()).toEqual([
      'HOME=/root',
      'HOSTNAME=env-1',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'TASK_ID=env-1',
      `TASK_MEMORY=${64 * MIB}`,
      'TASK_TIMEOUT=60',
    ]);
  });

  it('contains variables from -e and from env files; the last one wins', async () => {
    const first = makeFile('first.env', '# comment\nA=file\nB=quoted "as is" \n\nFROM_CALLER\n');
    const second = makeFile('second.env', 'B=second\nC=file\n');
    const files = ['--env-file', first, '--env-file', second];
    const entries = ['-e', 'C=option', '--env', 'D=a=b', '-e', 'CALLER', '-e', 'ABSENT'];
    const script = 'echo "$A|$B|$C|$D|$CALLER|$FROM_CALLER"; env | grep -c ABSENT';
    const env = { CALLER: 'yes', FROM_CALLER: 'too' };
    const { stdout } = await run([...files, ...entries], sh(script), { env });
    expect(stdout).toBe('file|second|option|a=b|yes|too\n0\n');
  });

  it('can come from a pipe that the shell made', async () => {
    const through = ['bash', '-c', 'exec 7< <(printf "PIPED=yes\\n"); exec "$@"', 'bash'];
    const options = ['--env-file', '/dev/fd/7'];
    const { stdout } = await run(options, sh('echo "$PIPED"'), { through });
    expect(stdout).toBe('yes\n');
  });

  it('waits for the writer of a FIFO given as env file', async () => {
    const fifo = join(folder, 'env.fifo');
    execFileSync('mkfifo', [fifo]);
    const writer = `timeout 60 sh -c 'printf "PIPED=yes\\n" > ${fifo}' &`;
    const through = ['bash', '-c', `${writer} exec "$@"`, 'bash'];
    const { stdout } = await run(['--env-file', fifo], sh('echo "$PIPED"'), { through });
    expect(stdout).toBe('yes\n');
  });
});

describe('limits', () => {
  const limitsOf = (file: string, controller: string, v2: string) =>
    `cat /sys/fs/cgroup/${controller}/${file} 2>/dev/null || cat /sys/fs/cgroup/${v2}`;

  it('--memory limits memory and swap together', { tags: ['gvisor/cgroup-files'] }, async () => {
    const script = [
      limitsOf('memory.limit_in_bytes', 'memory', 'memory.max'),
      'cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.swap.max',
    ].join(';');
    const [memory, swap] = (await print(['-m', '64m'], sh(script))).split('\n');
    expect(memory).toBe(String(64 * MIB));
    expect(['0', memory]).toContain(swap);
  });

  it('--cpus limits the share of the scheduler’s period', {
    tags: ['gvisor/cgroup-files'],
  }, async () => {
    const script = limitsOf('cpu.cfs_quota_us', 'cpu', 'cpu.max');
    expect(await print(['--cpus', '0.25'], sh(script))).toMatch(/^25000( 100000)?\n$/);
  });

  it('--pids-limit stops a fork bomb', { tags: ['gvisor/threads'] }, async () => {
    const script = 'for i in $(seq 40); do sleep 5 & done; wait';
    const { status, record } = await run(['--pids-limit', '12'], sh(script));
    expect(status).not.toBe(0);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed' });
    expect(record?.usage.pidsPeak).toBeLessThanOrEqual(12);
  });

  it('--ulimit sets soft and hard limit', async () => {
    const options = ['--ulimit', 'nofile=100:200', '--ulimit', 'fsize=1048576'];
    const script = 'ulimit -n; ulimit -Hn; head -c 2000000 /dev/zero > /big; stat -c %s /big';
    const { stdout } = await run(options, sh(script));
    expect(stdout).toBe(`100\n200\n${MIB}\n`);
  });
});

describe('process', () => {
  it('--workdir sets where the command starts, and is created if missing', async () => {
    expect(await print(['-w', '/usr/bin'], ['pwd'])).toBe('/usr/bin\n');
    expect(await print(['--workdir', '/new/folder'], ['pwd'])).toBe('/new/folder\n');
  });

  it.each([
    ['user', '1000 1000 50 1000', '/home/user'],
    ['1000', '1000 1000 50 1000', '/home/user'],
    ['user:nogroup', '1000 65534 65534', '/home/user'],
    ['4242', '4242 0 0', '/'],
    ['4242:4343', '4242 4343 4343', '/'],
  ])('--user %s', async (user, ids, home) => {
    const script = 'echo $(id -u) $(id -g) $(id -G | tr " " "\\n" | sort -n); echo $HOME';
    expect(await print(['-u', user], sh(script))).toBe(`${ids}\n${home}\n`);
  });

  it.each(['nobody-here', 'user:no-group', '70000'])('--user %s is refused', async (user) => {
    const { status, record } = await run(['-u', user], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field: 'user' } },
    });
  });

  it('--hostname names the task; without it the task has its id as hostname', async () => {
    const script = 'hostname; echo $HOSTNAME; grep -c "\\bbox-1$" /etc/hosts';
    expect(await print(['--hostname', 'box-1'], sh(script))).toBe('box-1\nbox-1\n1\n');
    expect(await print(['--name', 'id-1'], ['hostname'])).toBe('id-1\n');
  });

  it('--init reaps orphans, forwards TERM, and runs as pid 1', async () => {
    // Its parent ends at once; when the orphan ends and is reaped cannot be distinguished from here.
    const orphan = 'pid=$(sh -c "true >/dev/null & echo \\$!")';
    const reaped = 'for i in $(seq 500); do [ -e /proc/$pid ] || break; sleep 0.02; done';
    const script = `${orphan}; ${reaped}; cat /proc/1/comm; ls -d /proc/$pid`;
    const { stdout, stderr } = await run(['--init'], sh(script));
    expect({ stdout, stderr }).toEqual({
      stdout: 'stackshim-init\n',
      stderr: expect.stringMatching(/No such file/),
    });
    const waiting = sh('trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.02; done');
    const task = start(['--init', '--stop-timeout', '1h'], waiting);
    await task.printed('ready');
    task.child.kill('SIGTERM');
    expect(await task.ended).toMatchObject({ status: 143, stdout: 'ready\nbye\n' });
  });

  it('--name sets the id; a second task with that id is refused while the first one lives', async () => {
    const task = start(['--name', 'twin'], sh('echo ready; exec sleep 3600'));
    await task.printed('ready');
    const second = await run(['--name', 'twin'], ['true']);
    expect(second.status).toBe(125);
    expect(second.stderr).toContain('[ERR_STACKSHIM_TASK_CONFLICT]');
    expect(second.record).toBeUndefined();
    task.child.kill('SIGTERM');
    expect((await task.ended).record).toMatchObject({ ...CLEAN, id: 'twin' });
    expect((await run(['--name', 'twin'], ['true'])).status).toBe(0);
  });
});

describe('mounts', () => {
  it('a bind is writable, and files that a task writes there stay on the host', async () => {
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    writeFileSync(join(shared, 'in'), 'from the host\n');
    const script = 'cat /data/in; echo from the task > /data/out; stat -c %u:%g /data/in';
    const options = ['-u', 'user', '--mount', `type=bind,source=${shared},target=/data`];
    expect(await print(options, sh(script))).toBe('from the host\n65534:65534\n');
    expect(readFileSync(join(shared, 'out'), 'utf8')).toBe('from the task\n');
    const owner = { uid: DEFAULT_BIND_OWNER_ID, gid: DEFAULT_BIND_OWNER_ID };
    expect(statSync(join(shared, 'out'))).toMatchObject(owner);
  });

  it.each([
    ['--mount', (path: string) => `type=bind,src=${path},dst=/file,readonly`],
    ['-v', (path: string) => `${path}:/file:ro`],
  ])('%s with ro is read-only', async (option, spec) => {
    const path = makeFile('read-only', 'kept');
    const script = 'cat /file; echo changed > /file; echo $?';
    const { stdout, stderr } = await run([option, spec(path)], sh(`chmod 777 /file; ${script}`));
    expect(stdout).toBe('kept1\n');
    expect(stderr).toContain('Read-only file system');
    expect(readFileSync(path, 'utf8')).toBe('kept');
  });

  it('-v resolves links on the host', async () => {
    makeFile('named', 'content');
    const linked = join(folder, 'link-to-folder');
    symlinkSync(folder, linked);
    expect(await print(['-v', `${linked}/named:/file`], ['cat', '/file'])).toBe('content');
  });

  it('--tmpfs has the given size and mode, and is executable only if asked for', async () => {
    const fill =
      'head -c 2000000 /dev/zero > /t/fill; stat -c "%a %s" /t /t/fill; df -k /t | tail -1';
    const { stdout } = await run(['--tmpfs', '/t:size=1m,mode=700'], sh(fill));
    expect(stdout).toMatch(/^700 \d+\n644 1048576\n\w+ +1024 +1024 +0 +100% \/t\n$/);
    const execute = 'cp /bin/busybox /t/true; /t/true; echo $?';
    expect((await run(['--tmpfs', '/t'], sh(execute))).stdout).toBe('126\n');
    expect((await run(['--tmpfs', '/t:exec'], sh(execute))).stdout).toBe('0\n');
  });

  it('--read-only leaves only tmpfs and binds writable', { tags: ['gvisor/tmp'] }, async () => {
    const script = 'touch /new; touch /tmp/new; touch /etc/passwd; touch /t/new && echo tmpfs';
    const { stdout, stderr } = await run(['--read-only', '--tmpfs', '/t'], sh(script));
    expect(stdout).toBe('tmpfs\n');
    expect(stderr.match(/Read-only file system/g)).toHaveLength(3);
  });
});

describe('network', () => {
  const interfaces = 'grep -o "[^ ]*:" /proc/net/dev | sort; readlink /proc/self/ns/net';

  it('--network none gives the task a loopback of its own', async () => {
    // Connections are refused until the server listens.
    const client = 'for i in $(seq 500); do nc 127.0.0.1 7 2>/dev/null && break; sleep 0.02; done';
    const server = `nc -l -p 7 -e echo hello & ${client}`;
    const stdout = await print(['--network', 'none'], sh(`${interfaces}; ${server}`));
    const [names, namespace, reply] = stdout.split('\n');
    expect([names, reply]).toEqual(['lo:', 'hello']);
    expect(namespace).not.toBe(hostNamespace());
  });

  it('--network host shows the host’s interfaces', { tags: ['gvisor/own-kernel'] }, async () => {
    const stdout = await print(['--network', 'host'], sh(interfaces));
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(hostNamespace());
  });

  const hostNamespace = () => `net:[${statSync('/proc/self/ns/net').ino}]`;
});

describe('rights', () => {
  const capabilities = 'grep -E "^Cap(Bnd|Eff)" /proc/self/status | cut -f2';
  const SYS_PTRACE = 1n << 19n;
  const CHOWN = 1n;

  async function masks(options: readonly string[]): Promise<{ effective: bigint; bound: bigint }> {
    const [effective, bound] = (await print(options, sh(capabilities))).trim().split('\n');
    return { effective: BigInt(`0x${effective}`), bound: BigInt(`0x${bound}`) };
  }

  it('--cap-add and --cap-drop change one capability each', async () => {
    const plain = await masks([]);
    const changed = await masks(['--cap-add', 'SYS_PTRACE', '--cap-drop', 'CAP_CHOWN']);
    expect(plain.effective).toBe(plain.bound);
    expect(plain.effective & (SYS_PTRACE | CHOWN)).toBe(CHOWN);
    expect(changed.effective).toBe((plain.effective | SYS_PTRACE) & ~CHOWN);
    expect(changed.bound).toBe(changed.effective);
  });

  it('--cap-drop ALL leaves only those added, and another user than root has none in effect', async () => {
    expect(await masks(['--cap-drop', 'ALL'])).toEqual({ effective: 0n, bound: 0n });
    const one = await masks(['--cap-drop', 'ALL', '--cap-add', 'chown']);
    expect(one).toEqual({ effective: CHOWN, bound: CHOWN });
    const user = await masks(['-u', 'user']);
    expect(user.effective).toBe(0n);
    expect(user.bound).not.toBe(0n);
  });

  it('--security-opt seccomp=FILE replaces the profile', {
    tags: ['gvisor/seccomp-actions'],
  }, async () => {
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 };
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] };
    const file = makeFile('profile.json', JSON.stringify(profile));
    const { status, stderr } = await run(['--security-opt', `seccomp=${file}`], ['mkdir', '/x']);
    expect(status).toBe(1);
    expect(stderr).toContain('No space left on device');
  });

  it('a profile with a kill action makes the task signaled', {
    tags: ['gvisor/seccomp-actions'],
  }, async () => {
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_KILL_PROCESS' };
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] };
    const file = makeFile('killing.json', JSON.stringify(profile));
    const { status, record } = await run(['--security-opt', `seccomp=${file}`], ['mkdir', '/x']);
    expect(status).toBe(128 + 31);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'signaled', signal: 'SIGSYS' });
  });

  it.each([
    [[], '1 2'],
    [['seccomp=unconfined'], '1 0'],
    [['no-new-privileges=false'], '0 2'],
    [['no-new-privileges'], '1 2'],
  ])(
    '--security-opt %j gives NoNewPrivs and Seccomp %s',
    { tags: ['gvisor/own-kernel'] },
    async (entries, expected) => {
      const options = entries.flatMap((entry) => ['--security-opt', entry]);
      const script = 'echo $(grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status | cut -f2)';
      expect(await print(options, sh(script))).toBe(`${expected}\n`);
    },
  );

  it('--bundle selects another template if the policy allows it', {
    tags: ['gvisor/own-kernel'],
  }, async () => {
    setPolicy({ allow: { bundles: ['default', 'fuse'] } });
    const script = 'stat -c "%a %t:%T" /dev/fuse; exec 3<>/dev/fuse && echo opened';
    expect(await print(['--bundle', 'fuse'], sh(script))).toBe('666 a:e5\nopened\n');
    expect((await run(['--bundle', 'default'], ['test', '-e', '/dev/fuse'])).status).toBe(1);
    setPolicy(null);
  });

  it('--userns auto maps the ids of a slot, --userns host maps none', {
    tags: ['gvisor/own-kernel'],
  }, async () => {
    const script = 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "; stat -c %u /etc/passwd';
    const [uids, gids, owner] = (await print([], sh(script))).split('\n');
    expect(uids).toBe(gids);
    const [inside, base, size] = (uids ?? '').trim().split(' ').map(Number);
    expect({ inside, size, owner }).toEqual({ inside: 0, size: 65_536, owner: '0' });
    expect(((base ?? 0) - slotIds(0).base) % 65_536).toBe(0);
    const host = await print(['--userns', 'host'], sh(script));
    expect(host).toBe(' 0 0 4294967295\n 0 0 4294967295\n0\n');
  });
});
