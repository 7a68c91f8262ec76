/** `/dev` of tasks: the same with every runtime, whoever makes it, and shared with nobody. Requires: root. */
import { statSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { driverOf } from '../../src/runtime/drivers/driver-of.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const { run, start, folder, setPolicy } = useTaskRunner();
const runtimes = runtimesUnderTest(folder);
beforeEach(() => setPolicy({ allow: { runtimes: ['runc', ...runtimes.map(({ path }) => path)] } }));

const NODES = [
  '/dev/full character special file 1:7 666',
  '/dev/null character special file 1:3 666',
  '/dev/random character special file 1:8 666',
  '/dev/tty character special file 5:0 666',
  '/dev/urandom character special file 1:9 666',
  '/dev/zero character special file 1:5 666',
];
const FOLDERS = [
  '/dev directory 0:0 755 0 0',
  '/dev/mqueue directory 0:0 1777',
  '/dev/pts directory 0:0 755 0 0',
  '/dev/shm directory 0:0 1777 0 0',
];
const LINKS = [
  '/dev/fd -> /proc/self/fd',
  '/dev/ptmx -> pts/ptmx',
  '/dev/stderr -> /proc/self/fd/2',
  '/dev/stdin -> /proc/self/fd/0',
  '/dev/stdout -> /proc/self/fd/1',
];
/** Everything but `/dev/core`, which depends on the host's kernel. */
const LOOK = `for path in /dev /dev/*; do
  case $path in /dev/core) continue;; esac
  if [ -L $path ]; then echo "$path -> $(readlink $path)"
  elif [ -c $path ]; then stat -c '%n %F %t:%T %a' $path
  elif [ $path = /dev/mqueue ]; then stat -c '%n %F %t:%T %a' $path
  else stat -c '%n %F %t:%T %a %u %g' $path; fi
done`;

const OWN = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);

/** The filesystem at `/dev`: `nosuid,noexec tmpfs size=64k,mode=755`, without its owner. */
const MOUNTS = `grep ' /dev ' /proc/self/mountinfo`;

describe.each(runtimes)('with $name', ({ path, kind }) => {
  it.each(['auto', 'host'])('has the usual content with --userns %s', async (userns) => {
    const { stdout, record } = await run(
      ['--runtime', path, '--userns', userns],
      sh(`${LOOK}; test -e /proc/kcore; echo $? $(readlink /dev/core)`),
    );
    const lines = stdout.trimEnd().split('\n');
    expect(['0 /proc/kcore', '1', '1 /proc/kcore']).toContain(lines.pop());
    expect(lines.sort()).toEqual([...NODES, ...FOLDERS, ...LINKS].sort());
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });

  it.each(['auto', 'host'])('is one small filesystem with --userns %s', async (userns) => {
    const { stdout } = await run(['--runtime', path, '--userns', userns], sh(MOUNTS));
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    const [, , , root, , flags, ...more] = lines[0]?.split(' ') ?? [];
    expect([root, flags]).toEqual(['/', 'rw,nosuid,noexec']);
    // No optional field: no mount of the host's reaches it later.
    expect(more.slice(0, 3)).toEqual(['-', 'tmpfs', 'tmpfs']);
    expect(more[3]?.split(',').slice(0, 3)).toEqual(['rw', 'size=64k', 'mode=755']);
  });

  it('belongs to the task’s root, except the nodes', async () => {
    const tries = [
      'echo text > /dev/file && cat /dev/file',
      'head -c 100000 /dev/zero > /dev/file || echo full',
      'ln -s file /dev/link && mkdir /dev/folder && rm -r /dev/link /dev/folder /dev/file && echo removed',
      'chmod 600 /dev/null || echo refused',
      'chown 1 /dev/zero || echo refused',
      'mknod /dev/kmsg c 1 11 || echo none',
      'cp /bin/busybox /dev/shm/true; /dev/shm/true || echo noexec',
      'echo lost > /dev/null && test ! -s /dev/null && echo written',
    ];
    const { stdout } = await run(['--runtime', path], sh(tries.join('; ')));
    const expected = 'text full removed refused refused none noexec written';
    expect(stdout.trimEnd().split('\n').join(' ')).toBe(expected);
    const { stderr } = await run(['--runtime', path, '-u', '1000'], sh('echo text > /dev/file'));
    expect(stderr).toMatch(/denied/i);
  });

  it('takes a terminal and stays writable with --read-only', async () => {
    const script =
      'test -c /dev/console && tty && echo text > /dev/file && cat /dev/file < /dev/tty';
    const { stdout, record } = await run(['--runtime', path, '-t', '--read-only'], sh(script));
    expect(stdout.replaceAll('\r', '')).toMatch(/^\/dev\/(?:console|pts\/0)\ntext\n$/);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', exitCode: 0 });
  });

  // A runtime that binds the host's nodes in a user namespace shares them, and locks on them, among all tasks and the host.
  it.each(driverOf({ kind }).gainsFromDev ? ['auto', 'host'] : ['host'])(
    'has nodes with --userns %s that neither the host nor another task has',
    async (userns) => {
      const options = ['--runtime', path, '--userns', userns];
      // In the host's user namespace, runtimes open /dev/null again as the input.
      const nodes = userns === 'host' ? OWN : [...OWN, '/dev/stdin'];
      const look = `stat -L -c %d:%i ${nodes.join(' ')}`;
      const one = start(options, sh(`${look}; echo looked; sleep 3600`));
      await one.printed('looked');
      const { stdout } = await run(options, sh(look));
      one.child.kill('SIGTERM');
      const { stdout: first, record } = await one.ended;
      expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
      const host = OWN.map((node) => statSync(node)).map(({ dev, ino }) => `${dev}:${ino}`);
      const seen = [...first.split('\n'), ...stdout.split('\n')].filter((line) => /^\d/.test(line));
      expect(seen).toHaveLength(2 * nodes.length);
      expect(new Set([...host, ...seen]).size).toBe(host.length + seen.length);
    },
  );

  it('has an input that is empty, and that the task may open again', async () => {
    const script = 'cat; cat /dev/stdin; test -c /dev/stdin && echo text >&0 && echo empty';
    const { stdout } = await run(['--runtime', path], sh(script));
    expect(stdout).toBe('empty\n');
  });
});
