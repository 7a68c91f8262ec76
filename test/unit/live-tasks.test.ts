/** Parts of the commands that look at running tasks: names of files, answers of sandboxes, limits, times. */
import { describe, expect, it, test } from 'vitest';
import { formatClock } from '../../src/cli/print/format-quantities.ts';
import { parseInnerProcesses } from '../../src/runtime/drivers/gvisor-sandbox.ts';
import { parseUpdate } from '../../src/task/live/update-task.ts';
import { exitInName } from '../../src/task/live/watch-events.ts';

test.each([
  ['record.json.exit-0.1-2-00112233aabbccdd.next', { exitCode: 0, signal: null }],
  ['record.json.exit-137.1-2-00112233aabbccdd.next', { exitCode: 137, signal: null }],
  ['record.json.exit-SIGKILL.1-2-00112233aabbccdd.next', { exitCode: null, signal: 'SIGKILL' }],
  ['record.json.exit-SIG34.1-2-00112233aabbccdd.next', { exitCode: null, signal: 'SIG34' }],
  ['record.json.exit-null.1-2-00112233aabbccdd.next', undefined],
  ['record.json.1-2-00112233aabbccdd.next', undefined],
  ['record.json', undefined],
  ['xrecord.json.exit-0.1', undefined],
])('the exit in the name %s is %j', (name, exit) => {
  expect(exitInName(name)).toEqual(exit);
});

describe('the processes of a sandbox', () => {
  const process = { uid: 0, pid: 1, ppid: 0, c: 0, tty: '?', stime: '10:00', cmd: 'sh' };

  it.each([
    ['40ms', 40],
    ['1m2.5s', 62_500],
    ['2h0m0s', 7_200_000],
    ['', null],
    ['5', null],
    ['3µs', null],
    [7, null],
  ])('have the processor time %j: %s ms', (time, cpuMs) => {
    expect(parseInnerProcesses([{ ...process, time }])).toEqual([
      { pid: 1, parentPid: 0, user: 0, cpuMs, name: 'sh' },
    ]);
  });

  it('leave out entries of another form', () => {
    const strange = [null, 1, {}, { ...process, pid: '1' }, { ...process, cmd: 1 }];
    expect(parseInnerProcesses(strange)).toEqual([]);
    for (const answer of [undefined, null, {}, 'x']) {
      expect(parseInnerProcesses(answer)).toBeUndefined();
    }
  });
});

describe('an update', () => {
  it('has the formats of the task’s own fields', () => {
    const given = { memory: '64m', cpus: '0.5', pidsLimit: 20, timeout: '1m30s' };
    expect(parseUpdate(given)).toEqual({
      memoryBytes: 67_108_864,
      cpus: 0.5,
      pids: 20,
      timeoutMs: 90_000,
    });
    expect(parseUpdate({ timeout: 5 })).toEqual({ timeoutMs: 5 });
  });

  it.each([
    {},
    { memory: undefined },
    { memory: '1k' },
    { memory: null },
    { cpus: {} },
    { disk: '1g' },
    { timeout: '-1s' },
    { memory: '64m', command: ['true'] },
  ])('is refused: %j', (given) => {
    const refused = expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' });
    expect(() => parseUpdate(given as object)).toThrow(refused);
  });
});

test('processor time has the form of ps', () => {
  expect([0, 999, 61_000, 3_600_000 * 120].map(formatClock)).toEqual([
    '00:00:00',
    '00:00:00',
    '00:01:01',
    '120:00:00',
  ]);
});
