/** The log of a worker: one line of JSON for each event, with its level, its fields and a sentence. */
import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../../../src/worker/ops/log-levels.ts';
import { openWorkerLog } from '../../../src/worker/ops/worker-log.ts';
import type { WorkerEvent } from '../../../src/worker/worker-events.ts';

function logOf(events: readonly WorkerEvent[], level: LogLevel = 'debug') {
  const lines: string[] = [];
  const log = openWorkerLog(level, 'host/1', (line) => void lines.push(line));
  events.forEach(log.onEvent);
  return lines.map((line) => JSON.parse(line));
}

const ended: WorkerEvent = {
  type: 'job_ended',
  job: 'mail~acme~~k3',
  attempt: 2,
  state: 'killed',
  willRetry: true,
  task: 't1',
  verdict: 'oom_killed',
  exitCode: 137,
  wallMs: 9,
  retryable: false,
  error: null,
  reason: 'killed: oom_killed: the task ran out of memory',
  durationMs: 12.6,
};

const all: readonly (readonly [event: WorkerEvent, level: LogLevel, sentence: string])[] = [
  [
    { type: 'started', store: 'redis://h:1', queues: ['a', 'b'], concurrency: 4 },
    'info',
    'takes jobs of a, b from redis://h:1',
  ],
  [{ type: 'warning', code: 'x', message: 'appendonly is off' }, 'warn', 'appendonly is off'],
  [{ type: 'draining', running: 3, drainMs: 9 }, 'info', 'takes no more jobs; 3 still run'],
  [{ type: 'drained', handedBack: 1 }, 'info', 'ended; jobs handed back: 1'],
  [{ type: 'job_taken', job: 'q~~~1', attempt: 1 }, 'debug', 'took q~~~1'],
  [
    ended,
    'info',
    'mail~acme~~k3: killed: oom_killed: the task ran out of memory after 13 ms, will be retried',
  ],
  [
    { ...ended, state: 'complete', willRetry: false, verdict: 'succeeded' },
    'info',
    'mail~acme~~k3: complete after 13 ms',
  ],
  [
    {
      ...{ ...ended, state: 'error', willRetry: false },
      ...{ error: 'ERR_STACKSHIM_STACK_NOT_FOUND', reason: 'error: no such stack' },
    },
    'warn',
    'mail~acme~~k3: error: no such stack [ERR_STACKSHIM_STACK_NOT_FOUND] after 13 ms',
  ],
  [
    { type: 'job_handed_back', job: 'q~~~1', attempt: 1, reason: 'the worker ends' },
    'warn',
    'q~~~1: handed back: the worker ends',
  ],
  [
    { type: 'lock_lost', job: 'q~~~1', attempt: 1, task: 't' },
    'error',
    'q~~~1: lost its lock; its task is ended',
  ],
  [{ type: 'store_unreachable' }, 'warn', 'the store does not answer'],
  [{ type: 'store_reachable', downMs: 70 }, 'info', 'the store answers again after 70 ms'],
  [{ type: 'guard_restarted' }, 'warn', 'the guard had ended, and was started again'],
];

describe('the log', () => {
  it.each(all)('writes $type', (event, level, sentence) => {
    const [line] = logOf([event]);
    const { type, ...fields } = event;
    const { message: _, ...others } = { message: '', ...fields };
    expect(line).toEqual({
      level,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      worker: 'host/1',
      event: type,
      ...others,
      msg: sentence,
    });
  });

  it('leaves out what is below its level', () => {
    const events = all.map(([event]) => event);
    const levels = (level: LogLevel) => new Set(logOf(events, level).map((line) => line.level));
    expect(levels('info')).toEqual(new Set(['info', 'warn', 'error']));
    expect(levels('error')).toEqual(new Set(['error']));
  });

  it('keeps one event on one line, whatever is in it', () => {
    const message = 'first\nsecond\u001b[2J\u0000';
    const lines: string[] = [];
    const log = openWorkerLog('info', 'w', (line) => void lines.push(line));
    log.warn(message, 'x');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(lines[0] ?? '').msg).toBe(message);
  });
});
