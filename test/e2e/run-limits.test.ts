/** Every limit of a task, reached on purpose, beside those of run-verdicts.test.ts. Requires: root; a kernel with the controllers of `stackshim doctor`. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cgroupParent } from '../../src/cgroup/cgroup-names.ts';
import { hierarchiesOf, openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { makeCallingProgram, makeCrashingProgram } from '../support/programs/tiny-elf.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, setPolicy, folder } = useTaskRunner();
const { layout } = installation;
const cgroups = openCgroupDriver();
const MIB = 1024 * 1024;
const EPERM = 1;

const SPIN = 'while :; do :; done';

/** Reads a file of a task's cgroup: on v1 in the hierarchy of `controller`, or on v2. */
function readCgroupFile(id: string, names: { controller: string; v1: string; v2: string }): string {
  const { controller, v1, v2 } = names;
  const mounts = hierarchiesOf(readMounts());
  const hierarchy = mounts.find(({ controllers }) => controllers.includes(controller));
  const [root, file] = cgroups.version === 2 ? ['/sys/fs/cgroup', v2] : [hierarchy?.mountPoint, v1];
  return readFileSync(`${root}${cgroupParent(layout)}/task-${id}/${file}`, 'utf8').trim();
}

function makeProgram(name: string, program: Buffer): readonly string[] {
  const code = join(folder, name);
  mkdirSync(code, { recursive: true });
  writeFileSync(join(code, name), program);
  chmodSync(join(code, name), 0o755);
  return ['--code', code];
}

describe('processor time', () => {
  it('ends a task that exceeds it, at once', async () => {
    const options = ['--cpu-time', '300ms', '--stop-timeout', '1h'];
    const { status, stderr, record } = await run(options, sh(`trap "" TERM; ${SPIN}`));
    expect(status).toBe(124);
    expect(stderr).toContain('more processor time than ');
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'cpu_time_exceeded',
      exitCode: null,
      signal: 'SIGKILL',
      retryable: false,
    });
    const { cpuUserMs, cpuSystemMs } = record?.usage ?? {};
    expect((cpuUserMs ?? 0) + (cpuSystemMs ?? 0)).toBeGreaterThan(300);
  });

  it('counts all processes together', async () => {
    const forks = `for i in 1 2 3 4; do (${SPIN}) & done; wait`;
    const cpus = String(Math.min(2, availableParallelism()));
    const { status, record } = await run(['--cpu-time', '400ms', '--cpus', cpus], sh(forks));
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cpu_time_exceeded' });
  });

  it('is judged by what the task used, even if the task ended before that was noticed', async () => {
    const busy = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done';
    const { status, record } = await run(['--cpu-time', '1ms'], sh(busy));
    expect(status).toBe(124);
    expect(record?.verdict).toBe('cpu_time_exceeded');
  });

  it('does not include sleep, nor the time that the runtime needs to start the task', async () => {
    const { status, record } = await run(['--cpu-time', '200ms'], ['sleep', '0.5']);
    expect(status).toBe(0);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });
});

describe('memory', () => {
  const hog = 'dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null';
  const fill = (file: string) => `dd if=/dev/zero of=${file} bs=1M count=48 2>/dev/null`;

  it('ends the whole task when the kernel kills one process, with a group kill', async () => {
    const options = ['-m', '24m', '--oom-group'];
    const { status, stderr, record } = await run(options, sh(`${hog}; sleep 600`));
    expect(status).toBe(137);
    expect(stderr).toContain('ran out of memory');
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'oom_killed',
      exitCode: null,
      signal: 'SIGKILL',
    });
    expect(record?.usage.oomKills).toBeGreaterThanOrEqual(1);
    expect(record?.usage.oomGroupKills).toBe(cgroups.version === 2 ? 1 : null);
  });

  it('ends the task in the result even if it ended before the kill was noticed', async () => {
    const { status, record } = await run(['-m', '24m', '--oom-group'], sh(`${hog}; exit 0`));
    expect(status).toBe(137);
    expect(record?.verdict).toBe('oom_killed');
  });

  it('does not affect a task that stays within its limit', async () => {
    const { status, record } = await run(['-m', '64m', '--oom-group'], ['true']);
    expect(status).toBe(0);
    expect(record).toMatchObject({ verdict: 'succeeded', usage: { oomKills: 0 } });
  });

  it.each([
    ['/dev/shm', [], '/dev/shm/x'],
    ['a tmpfs', ['--tmpfs', '/scratch:size=256m'], '/scratch/x'],
  ])('includes the files in %s', async (_, options, file) => {
    const within = await run(['-m', '128m', ...options], sh(`${fill(file)} && sleep 0.01`));
    expect(within.status).toBe(0);
    expect(within.record?.usage.memoryPeakBytes).toBeGreaterThanOrEqual(48 * MIB);
    const beyond = await run(['-m', '32m', ...options], sh(fill(file)));
    expect(beyond.status).toBe(137);
    expect(beyond.record).toMatchObject({ ...CLEAN, verdict: 'oom_killed' });
  });

  it('includes and limits what sockets hold unread', { tags: ['gvisor/own-kernel'] }, async () => {
    const [id, held] = [
      'sockets',
      { controller: 'memory', v1: 'memory.kmem.tcp.usage_in_bytes', v2: 'memory.stat' },
    ];
    const send = 'until nc 127.0.0.1 5000 < /dev/zero; do :; done';
    const script = `nc -l -p 5000 -e sleep 600 & echo ready; ${send}`;
    const task = start(['--name', id, '-m', '48m'], sh(script));
    try {
      await task.printed('ready');
      const heldBytes = () => {
        const text = readCgroupFile(id, held);
        return Number(cgroups.version === 2 ? /^sock (\d+)$/m.exec(text)?.[1] : text);
      };
      await waitUntil(() => heldBytes() > MIB);
      if (cgroups.version === 1) {
        const limit = { ...held, v1: 'memory.kmem.tcp.limit_in_bytes' };
        expect(Number(readCgroupFile(id, limit))).toBe(48 * MIB);
      }
    } finally {
      task.child.kill('SIGTERM');
      await task.ended;
    }
    const { record } = await task.ended;
    expect(record).toMatchObject(CLEAN);
    const { socketPeakBytes, memoryPeakBytes } = record?.usage ?? {};
    expect(cgroups.version === 1 ? socketPeakBytes : memoryPeakBytes).toBeGreaterThan(MIB);
  });

  it('limits /dev/shm separately', async () => {
    const script = 'dd if=/dev/zero of=/dev/shm/x bs=1M count=65 2>&1 | grep -o "No space left.*"';
    const { stdout } = await run(['-m', '256m'], sh(script));
    expect(stdout).toBe('No space left on device\n');
  });
});

describe('processes, open files and message queues', () => {
  it('are limited so that a fork bomb cannot exceed the number of processes', async () => {
    const bomb = 'bomb() { bomb | bomb & }; bomb; sleep 0.5';
    const { record } = await run(['--pids-limit', '20', '--timeout', '10s'], sh(bomb));
    expect(record).toMatchObject(CLEAN);
    expect(record?.usage.pidsPeak ?? 20).toBeLessThanOrEqual(20);
  });

  it('are limited in the number of open files', async () => {
    const limits = 'grep -E "open files|core file|msgqueue" /proc/self/limits';
    const { stdout } = await run([], sh(limits));
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/).slice(0, 3));
    expect(rows).toContainEqual(['Max core file size', '0', '0']);
    expect(rows).toContainEqual(['Max msgqueue size', '819200', '819200']);
    const files = rows.find(([name]) => name === 'Max open files');
    expect(Number(files?.[1])).toBe(1024);
    expect(Number(files?.[2])).toBeLessThanOrEqual(65_536);
  });

  it('are limited to a few message queues', {
    tags: ['gvisor/own-kernel'],
  }, async () => {
    const script = [
      'for i in $(seq 300); do touch /dev/mqueue/q$i 2>/dev/null || break; done',
      'ls /dev/mqueue | wc -l',
      'ulimit -a >/dev/null',
      '(echo 9999 > /proc/sys/fs/mqueue/queues_max) 2>/dev/null || echo read-only',
      'cat /proc/sys/fs/mqueue/queues_max',
    ].join('\n');
    const { stdout } = await run([], sh(script));
    const [made, refused, most] = stdout.trim().split('\n');
    expect(Number(made)).toBeGreaterThan(0);
    expect(Number(made)).toBeLessThan(20);
    expect([refused, most]).toEqual(['read-only', '256']);
  });
});

describe('core files', () => {
  it('are not written', async () => {
    const options = makeProgram('crash', makeCrashingProgram());
    const script = 'cd /tmp; /task/crash; echo $?; find / -xdev -name "core*" -type f -newer /task';
    const { stdout } = await run(options, sh(script));
    expect(stdout).toBe('132\n');
  });
});

describe('keyrings', () => {
  it.each([
    ['add_key', [248, 217]],
    ['request_key', [249, 218]],
    ['keyctl', [250, 219]],
  ] as const)('%s is denied', async (name, [x64, arm64]) => {
    const program = makeCallingProgram(process.arch === 'arm64' ? arm64 : x64);
    const { status } = await run(makeProgram(name, program), [`/task/${name}`]);
    expect(status).toBe(EPERM);
  });
});

describe('cpu shares', () => {
  it('set the weight of the task', async () => {
    const weight = { controller: 'cpu', v1: 'cpu.shares', v2: 'cpu.weight' };
    for (const [name, options] of [
      ['plain', []],
      ['light', ['--cpu-shares', '256']],
    ] as const) {
      const task = start(['--name', name, ...options], sh('echo ready; exec sleep 600'));
      await task.printed('ready');
      const expected = {
        plain: cgroups.version === 2 ? '100' : '1024',
        light: cgroups.version === 2 ? '25' : '256',
      };
      expect(readCgroupFile(name, weight)).toBe(expected[name]);
      task.child.kill('SIGTERM');
      expect((await task.ended).record).toMatchObject(CLEAN);
    }
  });
});

describe('disks', () => {
  /** A disk of the test with one file on it: no other reads and writes are slowed down. */
  function withDisk<T>(use: (disk: string) => Promise<T>): Promise<T> {
    const image = join(folder, 'disk.img');
    const fd = openSync(image, 'w');
    writeSync(fd, Buffer.alloc(1), 0, 1, 32 * MIB - 1);
    closeSync(fd);
    const loop = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    return use(loop).finally(() => {
      execFileSync('losetup', ['--detach', loop]);
      rmSync(image);
    });
  }

  const kinds = [
    ['--device-read-bps', 'read_bps', 'rbps'],
    ['--device-write-bps', 'write_bps', 'wbps'],
    ['--device-read-iops', 'read_iops', 'riops'],
    ['--device-write-iops', 'write_iops', 'wiops'],
  ] as const;

  /** `MAJOR:MINOR` and the limit of one kind, as the kernel has them. */
  function readThrottle(id: string, [, v1, v2]: (typeof kinds)[number]): readonly string[] {
    const file = `blkio.throttle.${v1}_device`;
    const text = readCgroupFile(id, { controller: 'blkio', v1: file, v2: 'io.max' });
    const [device = '', ...limits] = text.split(' ');
    const own = limits.find((limit) => cgroups.version === 1 || limit.startsWith(`${v2}=`));
    return [device, own?.replace(`${v2}=`, '') ?? ''];
  }

  const numbersOf = (loop: string) =>
    execFileSync('lsblk', ['--noheadings', '--output', 'MAJ:MIN', loop], {
      encoding: 'utf8',
    }).trim();

  it('have read limits, the lower of the policy’s and the task’s', async () => {
    await withDisk(async (loop) => {
      setPolicy({ maxima: { deviceReadBps: [`${loop}:4m`] } });
      const numbers = numbersOf(loop);
      for (const [name, options, bytes] of [
        ['policy', [], 4 * MIB],
        ['own', ['--device-read-bps', `${loop}:1m`], MIB],
      ] as const) {
        const task = start(['--name', name, ...options], sh('echo ready; exec sleep 600'));
        await task.printed('ready');
        expect(readThrottle(name, kinds[0])).toEqual([numbers, String(bytes)]);
        task.child.kill('SIGTERM');
        expect((await task.ended).record).toMatchObject(CLEAN);
      }
      const more = await run(['--device-read-bps', `${loop}:5m`], ['true']);
      expect(more).toMatchObject({ status: 125, record: undefined });
      expect(more.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
      setPolicy(null);
    });
  });

  it('have limits on bytes and operations, for reads and writes', async () => {
    await withDisk(async (loop) => {
      const options = kinds.flatMap(([option], i) => [option, `${loop}:${i + 1}00`]);
      const task = start(['--name', 'all', ...options], sh('echo ready; exec sleep 600'));
      await task.printed('ready');
      const limits = kinds.map((kind) => readThrottle('all', kind));
      const numbers = numbersOf(loop);
      expect(limits).toEqual(['100', '200', '300', '400'].map((limit) => [numbers, limit]));
      task.child.kill('SIGTERM');
      expect((await task.ended).record).toMatchObject(CLEAN);
    });
  });

  it('stay at the limited rate while a task reads continuously', async () => {
    await withDisk(async (loop) => {
      const [source, mountPoint] = [join(folder, 'on-disk'), join(folder, 'mounted')];
      for (const path of [source, mountPoint]) mkdirSync(path);
      writeFileSync(join(source, 'file'), Buffer.alloc(16 * MIB, 1));
      execFileSync('mkfs.ext4', ['-q', '-d', source, loop]);
      // In small pieces, because a request counts as read at once.
      execFileSync('blockdev', ['--setra', '32', loop]);
      const read = async (...options: string[]) => {
        // A new file each time: cached data would not be read from the disk again.
        execFileSync('mount', ['-o', 'ro', loop, mountPoint]);
        try {
          const volume = `${mountPoint}:/disk:ro`;
          return await run(['-v', volume, ...options], sh('cat /disk/file | wc -c'));
        } finally {
          execFileSync('umount', [mountPoint]);
        }
      };
      const free = await read();
      expect(free).toMatchObject({ stdout: `${16 * MIB}\n`, record: { verdict: 'succeeded' } });
      const held = await read('--device-read-bps', `${loop}:1m`, '--timeout', '2s');
      expect(held.record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
      const { ioReadBytes, wallMs } = held.record?.usage ?? {};
      expect(ioReadBytes).toBeGreaterThan(0);
      // Two seconds' worth in addition: reads before the first pause, and the last request.
      expect(ioReadBytes).toBeLessThanOrEqual(MIB * ((wallMs ?? 0) / 1000 + 2));
    });
  });

  it.each([
    ['/dev/null', 'ERR_STACKSHIM_SPEC_INVALID'],
    ['/dev/no-such-disk', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
  ])('cannot be read without a limit by way of %s', async (path, code) => {
    const { status, stderr } = await run(['--device-write-iops', `${path}:5`], ['true']);
    expect(status).toBe(125);
    expect(stderr).toContain(code);
  });
});
