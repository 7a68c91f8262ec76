/** The SQL statements of the port. Unqualified table names resolve to BullMQ's schema. */
import { KEPT_EVENTS } from '../lane-settings.ts';

const SERVER_TIME = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms';

type Ask<R> = (text: string) => Promise<{ readonly rows: readonly R[] }>;

/** Milliseconds since 1970 by the server's clock. */
export async function readTimeMs(ask: Ask<{ now_ms: number }>): Promise<number> {
  const { rows } = await ask(SERVER_TIME);
  return rows[0]?.now_ms ?? Number.NaN;
}

/** The name of a WAL file begins with the timeline. */
const SERVER = `SELECT extract(epoch FROM pg_postmaster_start_time())::text AS id,
  substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS timeline`;

/** Reads when the server started and its timeline. */
export async function readServer(ask: Ask<{ id: string; timeline: string }>) {
  const { rows } = await ask(SERVER);
  const { id = '', timeline = '1' } = rows[0] ?? {};
  return { id, timeline: Number.parseInt(timeline, 16) };
}

export const ENTER_LANE = `INSERT INTO meta (queue, field, value) VALUES ($1, 'opts.maxLenEvents', '${KEPT_EVENTS}')
ON CONFLICT DO NOTHING`;

/** Whether BullMQ requeues a job by this statement, whose function discards the job's attempts. */
export const isRequeue = (text: string): boolean => text.includes('SELECT reprocess_job($1, $2');
/** $1: lane, $2: id. Locks the row. */
export const READ_ATTEMPTS = `SELECT stacktrace::text AS attempts FROM job WHERE queue = $1 AND id = $2 FOR UPDATE`;
/** $1: lane, $2: id, $3: the attempts. */
export const PUT_ATTEMPTS = 'UPDATE job SET stacktrace = $3::jsonb WHERE queue = $1 AND id = $2';

export const NOTIFY = 'SELECT pg_notify($1, $2)';

/** Bounds what a hostile producer can make a worker read. */
const MAX_LANES = 200_000;
const MAX_LANE_BYTES = 200;

/**
 * The lanes with jobs in one of the states. Takes one index step for each lane: a plain GROUP BY would read every waiting job. $1: an array of
 * prefixes of lane names. A producer may have chosen any queue name: names too long for a lane are not returned.
 */
export const lanesIn = (states: readonly string[]): string =>
  `SELECT DISTINCT queue FROM (${states.map(stepsThrough).join(' UNION ALL ')}) AS found
 WHERE octet_length(queue) <= ${MAX_LANE_BYTES}
   AND EXISTS (SELECT 1 FROM unnest($1::text[]) AS start WHERE starts_with(found.queue, start))
 LIMIT ${MAX_LANES}`;

const stepsThrough = (state: string) => `(WITH RECURSIVE lane AS (
  (SELECT queue FROM job WHERE state = '${state}' ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT queue FROM job WHERE state = '${state}' AND queue > lane.queue ORDER BY queue LIMIT 1)
    FROM lane WHERE lane.queue IS NOT NULL
) SELECT queue FROM lane WHERE queue IS NOT NULL)`;

/** $1: lanes. Returns those without an unfinished job and without a schedule. */
export const LANES_WITHOUT_JOBS = `SELECT lane FROM unnest($1::text[]) AS lane
 WHERE NOT EXISTS (SELECT 1 FROM scheduler WHERE queue = lane)
   AND ${['waiting', 'delayed', 'active', 'waiting-children']
     .map((state) => `NOT EXISTS (SELECT 1 FROM job WHERE queue = lane AND state = '${state}')`)
     .join('\n   AND ')}`;

const MAX_NAME_CHARS = 200;

/** $1: lane, $2: number of names. */
export const PEEK = `SELECT
  ARRAY(SELECT left(name, ${MAX_NAME_CHARS}) FROM job WHERE queue = $1 AND state = 'waiting' ORDER BY priority, seq LIMIT $2) AS names,
  (SELECT min(process_at_ms)::float8 FROM job WHERE queue = $1 AND state = 'delayed') AS due_ms`;

/** $1: keys, $2: entries, arrays of equal length. */
export const PUT_ENTRIES = `INSERT INTO stackshim.catalogue (key, entry)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (key) DO UPDATE SET entry = EXCLUDED.entry`;
export const REMOVE_ENTRIES = 'DELETE FROM stackshim.catalogue WHERE key = ANY($1::text[])';
/** No entry is longer. */
const IS_ENTRY = 'octet_length(key) <= 1000 AND octet_length(entry) <= 20000';
export const LIST_ENTRIES = `SELECT key, entry FROM stackshim.catalogue
 WHERE starts_with(key, $1) AND ${IS_ENTRY} LIMIT 10000`;
export const GET_ENTRIES = `SELECT key, entry FROM stackshim.catalogue WHERE key = ANY($1::text[]) AND ${IS_ENTRY}`;
