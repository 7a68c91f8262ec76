/** The statements of the port on PostgreSQL. Names of tables are found in BullMQ's schema unless they say otherwise. */
import { KEPT_EVENTS } from '../lane-settings.ts';

const SERVER_TIME = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms';

type Ask<R> = (text: string) => Promise<{ readonly rows: readonly R[] }>;

/** Milliseconds since 1970 by the server's clock. */
export async function readTimeMs(ask: Ask<{ now_ms: number }>): Promise<number> {
  const { rows } = await ask(SERVER_TIME);
  return rows[0]?.now_ms ?? Number.NaN;
}

/** A name of a WAL file begins with the timeline. */
const SERVER = `SELECT extract(epoch FROM pg_postmaster_start_time())::text AS id,
  substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS timeline`;

/** When the server started, and on which timeline it is. */
export async function readServer(ask: Ask<{ id: string; timeline: string }>) {
  const { rows } = await ask(SERVER);
  const { id = '', timeline = '1' } = rows[0] ?? {};
  return { id, timeline: Number.parseInt(timeline, 16) };
}

export const ENTER_LANE = `INSERT INTO meta (queue, field, value) VALUES ($1, 'opts.maxLenEvents', '${KEPT_EVENTS}')
ON CONFLICT DO NOTHING`;

/** BullMQ queues a job again by this function, which forgets the job's attempts. */
export const isRequeue = (text: string): boolean => text.includes('SELECT reprocess_job($1, $2');
/** $1: lane, $2: id. Locks the row. */
export const READ_ATTEMPTS = `SELECT stacktrace::text AS attempts FROM job WHERE queue = $1 AND id = $2 FOR UPDATE`;
/** $1: lane, $2: id, $3: the attempts. */
export const PUT_ATTEMPTS = 'UPDATE job SET stacktrace = $3::jsonb WHERE queue = $1 AND id = $2';

export const NOTIFY = 'SELECT pg_notify($1, $2)';

/** Bounds what a hostile producer makes a worker read. */
const MAX_LANES = 200_000;
const MAX_LANE_BYTES = 200;

/**
 * The lanes that have jobs in one of the states, found by as many steps in an index as there are lanes: a plain GROUP BY would read every
 * waiting job. $1: what the lanes' names begin with, an array. A producer may have named a queue anything: what cannot be a lane is not sent.
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

/** Of the lanes $1 those without a job that has something left to do, and without a schedule. */
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

/** $1: keys, $2: entries, arrays of the same length. */
export const PUT_ENTRIES = `INSERT INTO stackshim.catalogue (key, entry)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (key) DO UPDATE SET entry = EXCLUDED.entry`;
export const REMOVE_ENTRIES = 'DELETE FROM stackshim.catalogue WHERE key = ANY($1::text[])';
/** Nothing longer is an entry. */
const IS_ENTRY = 'octet_length(key) <= 1000 AND octet_length(entry) <= 20000';
export const LIST_ENTRIES = `SELECT key, entry FROM stackshim.catalogue
 WHERE starts_with(key, $1) AND ${IS_ENTRY} LIMIT 10000`;
export const GET_ENTRIES = `SELECT key, entry FROM stackshim.catalogue WHERE key = ANY($1::text[]) AND ${IS_ENTRY}`;
