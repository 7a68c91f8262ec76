/** The intake beside entries of the store that a hostile producer wrote: they end or leave their lanes, and hold up no other job. */
import { describe, expect, it } from 'vitest';
import { laneName } from '../../src/worker/job/lane.ts';
import { addJobs, laneOf, manyJobs } from '../support/queues/lanes.ts';
import { complete, endIntake, startTestIntake } from '../support/queues/start-test-intake.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { startRedis } from '../support/stores/start-redis.ts';
import { useStore } from '../support/stores/store-server.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

/** A busy machine must have time to complete a job. */
const options = { lockMs: 3_000, stalledLookMs: 100 };

describe('entries that a hostile producer wrote', () => {
  const bed = useStore(() => startRedis(), options);
  const lane = laneOf('q', 'a');
  const keyOf = (id: string) => `stackshim:${laneName(lane)}:${id}`;

  it('end or are passed on, and hold up no other job', async () => {
    await addJobs(bed.store, lane, [
      ...['data', 'options', 'nulls', 'parent', 'starts', 'string', 'gone'].map((jobId) => ({
        jobId,
      })),
      ...manyJobs('good', 5),
    ]);
    await bed.server.command('HSET', keyOf('data'), 'data', '{"stack":');
    await bed.server.command('HSET', keyOf('options'), 'opts', '{');
    await bed.server.command('HSET', keyOf('nulls'), 'opts', 'null');
    await bed.server.command(
      'HSET',
      keyOf('parent'),
      'parent',
      '{',
      'parentKey',
      'x',
      'atm',
      'many',
    );
    await bed.server.command('HSET', keyOf('starts'), 'ats', 'many');
    await bed.server.command('SET', keyOf('string'), 'text');
    await bed.server.command('DEL', keyOf('gone'));
    const errors: unknown[] = [];
    const seen = new Map<string, unknown>();
    const intake = await startTestIntake({
      ...{ store: bed.store, ...options },
      onError: (error) => errors.push(error),
      async handle(taken) {
        await complete(taken);
        seen.set(taken.id, taken.job.data);
      },
    });
    await waitUntil(() => seen.size >= 7);
    await waitUntil(async () => (await bed.store.peek(lane, 1)).names.length === 0);
    expect([...seen.keys()].toSorted()).toEqual([
      ...['data', 'gone', 'good-0', 'good-1', 'good-2', 'good-3', 'good-4'],
    ]);
    expect(seen.get('data')).toBeUndefined();
    for (const id of ['options', 'nulls', 'parent', 'starts']) {
      const reason = await waitUntil(() => bed.server.command('HGET', keyOf(id), 'failedReason'));
      expect(reason).toMatch(/^error: .*damaged/);
      expect(await bed.server.command('ZSCORE', keyOf('failed'), id)).not.toBeNull();
    }
    expect(errors.length).toBeGreaterThan(0);
    await endIntake(intake);
  });

  it.each(['wait', 'prioritized', 'delayed', 'active'])(
    'that are no jobs leave the lane for good, each with one message: %s',
    async (list) => {
      const at = laneOf('q', list);
      const key = (id: string) => `stackshim:${laneName(at)}:${id}`;
      await bed.store.announce(at, async () => undefined);
      for (let n = 0; n < 20; n += 1) {
        await bed.server.command('SET', key(`bad-${n}`), 'text');
        if (list === 'wait') await bed.server.command('RPUSH', key(list), `bad-${n}`);
        else if (list === 'active') await bed.server.command('LPUSH', key(list), `bad-${n}`);
        else await bed.server.command('ZADD', key(list), n + 1, `bad-${n}`);
      }
      if (list === 'active') await bed.store.noteActive(at);
      await addJobs(bed.store, at, manyJobs('good', 5));
      const errors: string[] = [];
      const seen: string[] = [];
      const intake = await startTestIntake({
        ...{ store: bed.store, ...options },
        onError: (error) => errors.push(String(error)),
        async handle(taken) {
          await complete(taken);
          seen.push(taken.id);
        },
      });
      await waitUntil(() => seen.length === 5 && errors.length >= 20);
      expect(seen.toSorted()).toEqual(['good-0', 'good-1', 'good-2', 'good-3', 'good-4']);
      expect(await bed.server.command('ZCARD', key('delayed'))).toBe(0);
      for (const one of ['wait', 'active']) {
        expect(await bed.server.command('LRANGE', key(one), 0, -1)).toEqual([]);
      }
      expect(await bed.server.command('ZCARD', key('prioritized'))).toBe(0);
      await endIntake(intake);
      const told = errors.map(
        (text) => /take job "(bad-\d+)": the store has a string/.exec(text)?.[1],
      );
      expect(new Set(told)).toEqual(new Set(Array.from({ length: 20 }, (_, n) => `bad-${n}`)));
      expect(told).toHaveLength(20);
    },
  );

  it('that only say that they are no jobs are handled as jobs', async () => {
    const at = laneOf('q', 'forged');
    await addJobs(bed.store, at, [{ jobId: 'forged' }, { jobId: 'bare' }]);
    const key = (id: string) => `stackshim:${laneName(at)}:${id}`;
    const data = '{"stackshim:kind":"string"}';
    await bed.server.command('HSET', key('forged'), 'data', data);
    await bed.server.command('DEL', key('bare'));
    await bed.server.command('HSET', key('bare'), 'data', data);
    const seen: string[] = [];
    const intake = await startTestIntake({
      ...{ store: bed.store, ...options },
      async handle(taken) {
        await complete(taken);
        seen.push(taken.id);
      },
    });
    await waitUntil(() => seen.length === 2);
    expect(seen.toSorted()).toEqual(['bare', 'forged']);
    await endIntake(intake);
  });

  it('hold up no worker by a schedule without a day', async () => {
    const at = laneOf('q', 'cron');
    await addJobs(bed.store, at, manyJobs('job', 3));
    const repeat = { pattern: '0 0 31 4,6,9,11 *', count: 1 };
    for (const id of ['job-0', 'job-1', 'job-2']) {
      const key = `stackshim:${laneName(at)}:${id}`;
      await bed.server.command('HSET', key, 'rjk', 'never', 'opts', JSON.stringify({ repeat }));
    }
    await bed.server.command('HSET', `stackshim:${laneName(at)}:repeat:never`, 'ic', '1');
    const errors: unknown[] = [];
    const ended: string[] = [];
    const intake = await startTestIntake({
      ...{ store: bed.store, ...options },
      onError: (error) => errors.push(error),
      async handle(taken) {
        await complete(taken);
        ended.push(taken.id);
      },
    });
    await waitUntil(() => ended.length === 3);
    expect(errors.map(String)).toEqual(Array(3).fill(expect.stringMatching(/pattern.*no day/)));
    await endIntake(intake);
  });
});

describe('rows that a hostile producer wrote', () => {
  const bed = useStore(
    () => startPostgres({ settings: ['fsync=off', 'synchronous_commit=off'] }),
    options,
  );
  const lane = laneOf('q', 'a');

  it.each([
    ['data', "'null'"],
    ['data', "'7'"],
    ['data', `'"text"'`],
    ['opts', "'null'"],
    ['opts', "'[]'"],
    ['opts', `'"text"'`],
    ['opts', `'{"repeat":{"every":1}}', scheduler_id = 'none'`],
    ['progress', `'"text"'`],
    ['stacktrace', `'{"a":1}'`],
    ['stacktrace', "'7'"],
    ['return_value', "'[]'"],
    ['name', `repeat('x', 1000000)`],
    ['id', `repeat('x', 500)`],
    ['id', `E'../\\n \\x1b[2J'`],
    ['priority', '-1'],
    ['attempts_made', '-5'],
    ['attempts_started', '2147483646'],
    ['max_attempts', '2147483647'],
    ['stalled_count', '-7'],
    ['parent_id', `'x', parent_queue = 'y', parent_key = 'z'`],
    ['dedup_id', `'x'`],
    ['seq', '-9223372036854775808'],
    ['added_at_ms', '-9223372036854775808'],
  ])('end or are passed on, and hold up no other job: %s = %s', async (column, value) => {
    await addJobs(bed.store, lane, [{ jobId: 'bad' }, ...manyJobs('good', 3)]);
    await bed.server.query(`UPDATE bullmq.job SET ${column} = ${value} WHERE id = 'bad'`);
    const seen: string[] = [];
    const intake = await startTestIntake({
      ...{ store: bed.store, ...options },
      async handle(taken) {
        await complete(taken);
        seen.push(taken.id);
      },
    });
    const left = `SELECT 1 FROM bullmq.job WHERE state NOT IN ('completed', 'failed')`;
    await waitUntil(async () => (await bed.server.query(left)).length === 0);
    expect(seen).toEqual(expect.arrayContaining(['good-0', 'good-1', 'good-2']));
    await endIntake(intake);
    await bed.server.query('TRUNCATE bullmq.job CASCADE');
  });
});
