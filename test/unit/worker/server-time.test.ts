/** Every time that BullMQ takes from the client's clock comes from PostgreSQL's clock instead. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PostgresConnection, PostgresQueueBackend } from 'bullmq';
import { afterEach, expect, it, vi } from 'vitest';
import { withServerTime } from '../../../src/worker/queue-store/postgres/server-time.ts';

const NOW = 1_111_111_111_111;
const DELAY = 5;

interface Sent {
  readonly sql: string;
  readonly params: readonly unknown[];
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Calls every operation that reads the clock, on a pool that only records. */
async function record(): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  const query = (sql: string, params: readonly unknown[] = []) => {
    sent.push({ sql, params });
    return Promise.resolve({ rows: [{ n: 1, id: 'x', code: 1, ttl: 0 }] as never[], rowCount: 1 });
  };
  const pool = {
    query,
    connect: () => Promise.resolve({ query, release: () => undefined }) as never,
    end: () => Promise.resolve(),
    on: () => pool,
    removeAllListeners: () => pool,
  };
  const connection = new PostgresConnection(pool);
  vi.spyOn(connection, 'waitUntilReady').mockResolvedValue();
  vi.spyOn(Date, 'now').mockReturnValue(NOW);
  const backend = new PostgresQueueBackend(connection, 'lane', {
    connection: pool,
    ...{ metrics: { maxDataPoints: 10 }, limiter: { max: 1, duration: 1 } },
  });
  const job = { id: 'x', opts: {}, data: '{}' } as never;
  const token = 'token';
  await backend.moveToActive(token);
  await backend.moveToCompleted(job, 1, false, token, false);
  await backend.moveToCompleted(job, 1, false, token, true);
  await backend.moveToFailed(job, 'reason', false, token, false);
  await backend.moveToFailed(job, 'reason', false, token, true);
  await backend.moveToDelayed('x', NOW, DELAY, token);
  await backend.moveJobFromActiveToWait('x', token);
  await backend.moveStalledJobsToWait();
  await backend.extendLock('x', token, 1);
  await backend.extendLocks(['x'], [token], 1);
  await backend.changeDelay('x', DELAY);
  await backend.removeChildDependency('x', 'y');
  await backend.removeDeduplicationKey('x', 'y');
  await backend.getDeduplicationJobId('x');
  await backend.addJobScheduler('x', NOW + DELAY, '{}', {}, { every: 1 } as never, {});
  await backend.updateJobSchedulerNextMillis('x', NOW + DELAY, '{}', {});
  await backend.getRateLimitTtl(1);
  await backend.setRateLimit(1);
  return sent;
}

it('no statement keeps the time of the client', async () => {
  const sent = await record();
  const kept = sent.flatMap(({ sql, params }) => {
    const rewritten = withServerTime(sql);
    return params.flatMap((param, at) => {
      if (param !== NOW) return [];
      const bare = rewritten.replace(/COALESCE\(.*?, \$\d+::bigint\)/g, '');
      return new RegExp(`\\$${at + 1}(?!\\d)`).test(bare) ? [rewritten] : [];
    });
  });
  expect(kept).toEqual([]);
  const timed = sent.filter(({ sql }) => withServerTime(sql) !== sql);
  expect(timed.length).toBeGreaterThanOrEqual(18);
  // Every parameter still occurs, or the server would not know its type.
  for (const { sql, params } of timed) {
    for (const [at] of params.entries()) expect(withServerTime(sql)).toContain(`$${at + 1}`);
  }
});

it('a delay counts from the time of the server', async () => {
  const sent = await record();
  const delayed = sent.find(({ sql }) => sql.includes('move_to_delayed('));
  expect(delayed?.params[3]).toBe(NOW + DELAY);
  expect(withServerTime(delayed?.sql ?? '')).toMatch(
    /COALESCE\(\(extract\(epoch FROM clock_timestamp\(\)\) \* 1000\)::bigint \+ \$5::bigint, \$4::bigint\)/,
  );
});

it('the time of an add is the producer’s', () => {
  const sql = 'SELECT add_job($1, $2, $3, $4, $5, $6, $7, $8) AS id';
  expect(withServerTime(sql)).toBe(sql);
});

/** If this fails after an update of BullMQ, compare its uses of the clock with `server-time.ts` and with this test. */
it('BullMQ reads the clock where it did', () => {
  const main = createRequire(import.meta.url).resolve('bullmq');
  const file = main.replace(/index\.js$/, 'postgres/postgres-queue-backend.js');
  const uses = readFileSync(file, 'utf8').match(/Date\.now\(\)/g);
  expect(uses).toHaveLength(20);
});
