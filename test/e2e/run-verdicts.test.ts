/**
 * Every verdict of a command that ran, on real tasks: exit status, result record, and nothing left. Exit codes, output and
 * failures to start are in run-commands.test.ts.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { makeCrashingProgram } from '../support/programs/tiny-elf.ts';
import { TESTED_RUNTIME } from '../support/runtimes/tested-runtime.ts';
import { scaled } from '../support/timing/time-scale.ts';

const { run, start, folder } = useTaskRunner();
const MIB = 1024 * 1024;

describe('succeeded', () => {
  it('succeeds with exit code 0', async () => {
    const { status, stdout, stderr, record } = await run([], sh('echo out; echo err >&2'));
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'out\n', stderr: 'err\n' });
    expect(record).toMatchObject({
      ...CLEAN,
      stack: 'busybox',
      revision: 1,
      verdict: 'succeeded',
      exitCode: 0,
      signal: null,
      retryable: false,
      error: null,
      output: { stdoutBytes: 4, stderrBytes: 4, truncated: false },
    });
  });

  it('reports times in order, and the phases that were reached', async () => {
    const { record } = await run([], ['true']);
    expect(Date.parse(record?.startedAt ?? '')).toBeLessThanOrEqual(
      Date.parse(record?.finishedAt ?? ''),
    );
    const reached = Object.entries(record?.phasesMs ?? {}).filter(([, ms]) => ms > 0);
    expect(reached.map(([phase]) => phase)).toEqual([
      'resolve',
      'assemble',
      'configure',
      'start',
      'run',
      'account',
      'remove',
    ]);
  });
});

describe('signaled', () => {
  it('reports a crash of pid 1', async () => {
    const code = join(folder, 'crash');
    mkdirSync(code);
    writeFileSync(join(code, 'crash'), makeCrashingProgram());
    chmodSync(join(code, 'crash'), 0o755);
    const { status, record } = await run(['--code', code], ['/task/crash']);
    expect(status).toBe(128 + 4);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'signaled',
      exitCode: null,
      signal: 'SIGILL',
      retryable: false,
      error: null,
    });
  });

  it('reports the kill by a hard limit on cpu time', { tags: ['gvisor/cpu-rlimit'] }, async () => {
    const { status, record } = await run(
      ['--ulimit', 'cpu=1:1', '--cpu-time', '10s'],
      sh('while :; do :; done'),
    );
    expect(status).toBe(137);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'signaled', signal: 'SIGKILL' });
    expect(record?.usage.cpuUserMs).toBeGreaterThan(500);
  });
});

describe('timed_out', () => {
  /** Enough time for the program to set its traps: a shell needs milliseconds, a twentieth of a second on an emulated processor. */
  const timeoutMs = Math.max(1000, scaled(200));
  const timeout = ['--timeout', `${timeoutMs}ms`];

  it('lets a program that handles TERM end by itself', async () => {
    const script = 'trap "echo bye; exit 9" TERM; while :; do sleep 0.02; done';
    const options = [...timeout, '--stop-timeout', '1h'];
    const { status, stdout, record } = await run(options, sh(script));
    expect({ status, stdout }).toEqual({ status: 124, stdout: 'bye\n' });
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'timed_out',
      exitCode: 9,
      signal: null,
      retryable: false,
    });
    expect(record?.usage.wallMs).toBeGreaterThanOrEqual(timeoutMs);
  });

  it('kills a program that handles TERM but does not end', async () => {
    const script = 'trap "echo no" TERM; while :; do sleep 0.02; done';
    const options = [...timeout, '--stop-timeout', '1s'];
    const { status, stdout, record } = await run(options, sh(script));
    expect({ status, stdout }).toEqual({ status: 124, stdout: 'no\n' });
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'timed_out',
      exitCode: null,
      signal: 'SIGKILL',
    });
    expect(record?.usage.wallMs).toBeGreaterThanOrEqual(timeoutMs + 1_000);
  });

  it('kills a task that ignores TERM at once', async () => {
    // Whether a process ignores TERM cannot be seen from outside of gVisor: there the grace time passes.
    const grace = TESTED_RUNTIME === 'runsc' ? '100ms' : '1h';
    const command = sh('trap "" TERM; while :; do sleep 0.02; done');
    const { status, record } = await run([...timeout, '--stop-timeout', grace], command);
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out', signal: 'SIGKILL' });
  });

  it('kills a pid 1 without a handler for TERM at once', { tags: ['gvisor/pid-1'] }, async () => {
    const options = [...timeout, '--stop-timeout', '1h'];
    const { status, record } = await run(options, ['sleep', '3600']);
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out', signal: 'SIGKILL' });
  });

  it('ends processes that left their session', async () => {
    const stayer = 'setsid sh -c \'trap "" TERM; while :; do sleep 0.02; done\' &';
    const options = [...timeout, '--stop-timeout', '200ms'];
    const { status, record } = await run(options, sh(`${stayer} ${stayer} exec sleep 3600`));
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
  });
});

describe('oom_killed', () => {
  const fill = (mib: number) => `dd if=/dev/zero of=/dev/null bs=${mib}M count=1 2>/dev/null`;

  it('reports that pid 1 exceeded the memory limit', async () => {
    const { status, record } = await run(['-m', '24m'], sh(`exec ${fill(64)}`));
    expect(status).toBe(137);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'oom_killed',
      exitCode: null,
      signal: 'SIGKILL',
      retryable: false,
      usage: { oomKills: 1 },
    });
    // The kernel counts a page before it refuses it.
    expect(record?.usage.memoryPeakBytes).toBeLessThanOrEqual(24 * MIB + 4096);
  });

  it('is the verdict of a task that fails after a child exceeded the limit', {
    tags: ['gvisor/one-process'],
  }, async () => {
    const { status, record } = await run(['-m', '24m'], sh(`${fill(64)}; exit 5`));
    expect(status).toBe(137);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'oom_killed', exitCode: 5, signal: null });
  });

  it('is not the verdict of a task that survives and exits with 0', {
    tags: ['gvisor/one-process'],
  }, async () => {
    const { status, stdout, record } = await run(['-m', '24m'], sh(`${fill(64)}; echo $?`));
    expect({ status, stdout }).toEqual({ status: 0, stdout: '137\n' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', usage: { oomKills: 1 } });
  });

  it('is not the verdict of a plain failure near the limit', async () => {
    const { record } = await run(['-m', '64m'], sh(`${fill(32)}; exit 5`));
    expect(record).toMatchObject({ verdict: 'failed', exitCode: 5, usage: { oomKills: 0 } });
  });
});

describe('output_limited', () => {
  it('delivers exactly as many bytes as the limit, and ends the task', async () => {
    const { status, stdout, record } = await run(['--output-limit', '1001'], ['yes']);
    expect(status).toBe(137);
    expect(stdout).toBe(`${'y\n'.repeat(500)}y`);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'output_limited',
      exitCode: null,
      signal: 'SIGKILL',
      output: { truncated: true },
    });
    expect(record?.output.stdoutBytes).toBeGreaterThan(1001);
  });

  it('counts both streams together', async () => {
    const script = 'while :; do echo o; echo e >&2; done';
    const { status, stdout } = await run(['--output-limit', '1000', '--json'], sh(script));
    expect(status).toBe(137);
    const { verdict, output } = JSON.parse(stdout);
    expect(verdict).toBe('output_limited');
    expect(output.stdout.length + output.stderr.length).toBe(1000);
    expect(output.truncated).toBe(true);
  });

  it('does not end a task that reaches the limit without exceeding it', async () => {
    const command = ['head', '-c', '4096', '/dev/zero'];
    const { status, stdoutBytes, record } = await run(['--output-limit', '4k'], command);
    expect(status).toBe(0);
    expect(stdoutBytes).toEqual(Buffer.alloc(4096));
    expect(record).toMatchObject({ verdict: 'succeeded', output: { truncated: false } });
  });

  it('ends a task that exceeds the limit only after reaching it exactly', async () => {
    const script = 'head -c 4096 /dev/zero; sleep 0.3; echo more; exec sleep 3600';
    const options = ['--output-limit', '4k', '--timeout', '20s'];
    const { status, stdoutBytes, record } = await run(options, sh(script));
    expect(status).toBe(137);
    expect(stdoutBytes.length).toBe(4096);
    expect(record).toMatchObject({ verdict: 'output_limited', output: { stdoutBytes: 4101 } });
  });

  it('is judged by what the task wrote, even if it ended before that was read', async () => {
    const { status, stdout, record } = await run(['--output-limit', '3'], ['echo', 'hello']);
    expect({ status, stdout }).toEqual({ status: 137, stdout: 'hel' });
    expect(record?.verdict).toBe('output_limited');
  });
});

describe('cancelled', () => {
  // Ctrl-C sends INT to the task as well, and a shell handles it.
  const waiting = (signal: string) =>
    sh(`trap "echo bye; exit 3" ${signal}; echo ready; sleep 600 & wait`);

  it.each([
    ['SIGINT', 130, 'INT'],
    ['SIGTERM', 143, 'TERM'],
    ['SIGHUP', 129, 'TERM'],
  ] as const)('ends the task on %s and exits with %i', async (signal, expected, trapped) => {
    const task = start(['--stop-timeout', '1h'], waiting(trapped));
    await task.printed('ready');
    task.child.kill(signal);
    const { status, stdout, record } = await task.ended;
    expect({ status, stdout }).toEqual({ status: expected, stdout: 'ready\nbye\n' });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 3, error: null });
  });

  it('kills at once on the second signal', async () => {
    const stubborn = sh('trap "echo no" TERM INT; echo ready; while :; do sleep 0.02; done');
    const task = start(['--stop-timeout', '1h'], stubborn);
    await task.printed('ready');
    task.child.kill('SIGINT');
    await task.printed('no');
    task.child.kill('SIGTERM');
    const { status, record } = await task.ended;
    expect(status).toBe(130);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', signal: 'SIGKILL' });
  });
});

describe('usage', () => {
  it('reports the peak of memory', async () => {
    const command = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=32M', 'count=1'];
    const { record } = await run(['-m', '64m'], command);
    const peak = record?.usage.memoryPeakBytes;
    expect(peak).toBeGreaterThanOrEqual(32 * MIB);
    expect(peak).toBeLessThanOrEqual(64 * MIB);
  });

  it('reports processor time, wall time and the peak of processes', async () => {
    const busy = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done';
    // The first sleeps until the last has begun.
    const many = `for i in $(seq 20); do sleep ${scaled(0.1)} & done; wait`;
    const { record } = await run([], sh(`${busy}; ${many}`));
    const { cpuUserMs, cpuSystemMs, wallMs, pidsPeak } = record?.usage ?? {};
    expect(cpuUserMs).toBeGreaterThan(10);
    expect(cpuSystemMs).toBeGreaterThanOrEqual(0);
    expect(wallMs).toBeGreaterThanOrEqual(100);
    expect(pidsPeak).toBeGreaterThanOrEqual(21);
    // The threads of gVisor’s sandbox are in the task’s cgroup as well.
    expect(pidsPeak).toBeLessThan(TESTED_RUNTIME === 'runsc' ? 200 : 60);
  });
});
