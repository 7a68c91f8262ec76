/** A thousand tasks of every kind, eight at a time: each has the right outcome and leaves nothing. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import { type RunTaskOptions, runTask, type TaskInput } from '../../src/index.ts';
import { sh } from '../support/cli/shell.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { repeated, scaled } from '../support/timing/time-scale.ts';

const installation = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-mixed-');
afterAll(() => rmSync(folder, { recursive: true }));

const TASKS = repeated(1000);
const AT_ONCE = 8;

interface Kind {
  readonly name: string;
  make(i: number): { readonly input: Omit<TaskInput, 'stack'>; readonly options?: RunTaskOptions };
  expect(i: number): object;
}

/** The slowest and most demanding kinds come once in twenty. */
const rare: readonly Kind[] = [
  {
    name: 'times out, and handles TERM',
    make: () => ({
      input: {
        command: sh('trap "exit 9" TERM; while :; do sleep 0.02; done'),
        timeout: 150,
        stopTimeout: '1h',
      },
    }),
    expect: () => ({ verdict: 'timed_out' }),
  },
  {
    name: 'runs out of memory',
    make: () => ({
      input: {
        command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'],
        memory: '24m',
      },
    }),
    expect: () => ({ verdict: 'oom_killed', signal: 'SIGKILL' }),
  },
  {
    name: 'is cancelled while it runs',
    make() {
      const controller = new AbortController();
      return {
        input: { command: ['sleep', '3600'] },
        options: {
          signal: controller.signal,
          onEvent: ({ type }) => {
            if (type === 'started') controller.abort();
          },
        },
      };
    },
    expect: () => ({ verdict: 'cancelled', error: null }),
  },
  {
    name: 'is cancelled before it runs',
    make() {
      const controller = new AbortController();
      return {
        input: { command: ['true'] },
        options: {
          signal: controller.signal,
          onEvent: ({ type }) => {
            if (type === 'accepted') controller.abort();
          },
        },
      };
    },
    expect: () => ({ verdict: 'cancelled', exitCode: null, error: null }),
  },
];

const common: readonly Kind[] = [
  {
    name: 'succeeds',
    make: (i) => ({ input: { command: ['echo', String(i)] } }),
    expect: (i) => ({ verdict: 'succeeded', exitCode: 0, output: { stdout: `${i}\n` } }),
  },
  {
    name: 'fails',
    make: (i) => ({ input: { command: sh(`exit ${(i % 200) + 1}`) } }),
    expect: (i) => ({ verdict: 'failed', exitCode: (i % 200) + 1 }),
  },
  {
    name: 'does not exist',
    make: () => ({ input: { command: ['no-such-command'] } }),
    expect: () => ({
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND' },
    }),
  },
  {
    name: 'writes too much',
    make: () => ({ input: { command: ['yes'], outputLimit: 5000 } }),
    expect: () => ({ verdict: 'output_limited', signal: 'SIGKILL' }),
  },
  {
    name: 'reads its payload',
    make: (i) => ({ input: { command: sh('cat "$PAYLOAD_FILE"'), payload: `p${i}` } }),
    expect: (i) => ({ verdict: 'succeeded', output: { stdout: `p${i}` } }),
  },
  {
    name: 'runs its code',
    make: () => ({ input: { command: ['./main.sh'], code: join(folder, 'code') } }),
    expect: () => ({ verdict: 'succeeded', output: { stdout: '/task\n' } }),
  },
  {
    name: 'reads its standard input, as a user',
    make: (i) => ({
      input: { command: sh('id -u; cat'), interactive: true, user: 'user' },
      options: { stdin: Readable.from([String(i)]) },
    }),
    expect: (i) => ({ verdict: 'succeeded', output: { stdout: `1000\n${i}` } }),
  },
  {
    name: 'leaves processes behind, in sessions of their own',
    make: () => ({ input: { command: sh('for i in 1 2 3; do setsid sleep 3600 & done; exit 6') } }),
    expect: () => ({ verdict: 'failed', exitCode: 6 }),
  },
  {
    name: 'writes files',
    make: () => ({ input: { command: sh('mkdir -p /a/b/c; head -c 99999 /dev/zero > /a/b/c/d') } }),
    expect: () => ({ verdict: 'succeeded' }),
  },
];

function kindOf(i: number): Kind {
  const [list, index] = i % 5 === 4 ? [rare, Math.floor(i / 5)] : [common, i];
  const kind = list[index % list.length];
  if (kind === undefined) throw new RangeError(`no kind of task for ${i}`);
  return kind;
}

it(`${TASKS} different tasks run at the same time`, { timeout: scaled(600_000) }, async () => {
  mkdirSync(join(folder, 'code'));
  writeFileSync(join(folder, 'code/main.sh'), '#!/bin/sh\npwd\n', { mode: 0o755 });
  const counts = new Map<string, number>();
  let next = 0;
  const work = async () => {
    for (let i = next++; i < TASKS; i = next++) {
      const kind = kindOf(i);
      const { input, options } = kind.make(i);
      const task = { stack: 'busybox', ...input };
      const result = await runTask(task, { ...installation.options, ...options });
      expect({ i, kind: kind.name, ...result }).toMatchObject({
        ...kind.expect(i),
        removed: true,
        leftovers: [],
      });
      counts.set(result.verdict, (counts.get(result.verdict) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(TASKS);
  expect([...counts.keys()].sort()).toEqual([
    'cancelled',
    'failed',
    'oom_killed',
    'output_limited',
    'setup_failed',
    'succeeded',
    'timed_out',
  ]);
  for (const path of ['lib/scratch', 'run/tasks', 'run/runtime']) {
    const names = readdirSync(join(installation.layout.root, '..', path));
    // Idle volumes, and crun's cache of compiled profiles.
    expect(names.filter((name) => !/^\.(idle-|cache$)/.test(name))).toEqual([]);
  }
});
