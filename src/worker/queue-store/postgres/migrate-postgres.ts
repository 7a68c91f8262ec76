/** The queue tables: BullMQ's in schema `bullmq`, stackshim's in schema `stackshim`. Each migration runs once, in a transaction. */
import { LATEST_SCHEMA_VERSION, runMigrations } from 'bullmq';
import type { ClientBase } from 'pg';
import { QUEUE_SCHEMA } from './pg-pool.ts';

/** Append only; never change a released migration. `oldestReader`: the oldest version of this list whose code can use the tables after it. */
const MIGRATIONS = [
  {
    version: 1,
    oldestReader: 1,
    sql: 'CREATE TABLE stackshim.catalogue (key text PRIMARY KEY, entry text NOT NULL)',
  },
];

const NEWEST_VERSION = Math.max(...MIGRATIONS.map(({ version }) => version));

/** Two simultaneous migrations would create the same tables. */
const LOCK = `SELECT pg_advisory_xact_lock(hashtext('stackshim:migration'))`;
const LEDGER = `CREATE TABLE IF NOT EXISTS stackshim.migration (
  version integer PRIMARY KEY,
  oldest_reader integer NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/** Brings both schemas up to date; does nothing if they are. Needs a user who owns these schemas or may create them. */
export async function migrate(client: ClientBase): Promise<void> {
  await runMigrations(client, QUEUE_SCHEMA, { skipVersionCheck: true });
  await client.query('BEGIN');
  try {
    await client.query(LOCK);
    await client.query('CREATE SCHEMA IF NOT EXISTS stackshim');
    await client.query(LEDGER);
    const applied = await readLedger(client);
    for (const { version, oldestReader, sql } of MIGRATIONS) {
      if (version <= applied.version) continue;
      await client.query(sql);
      await client.query(
        'INSERT INTO stackshim.migration (version, oldest_reader) VALUES ($1, $2)',
        [version, oldestReader],
      );
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function readLedger(client: ClientBase) {
  const { rows } = await client.query<{ version: number; oldestReader: number }>(
    `SELECT COALESCE(max(version), 0)::int AS version, COALESCE(max(oldest_reader), 0)::int AS "oldestReader"
       FROM stackshim.migration`,
  );
  return rows[0] ?? { version: 0, oldestReader: 0 };
}

/** Why this version cannot use the tables; undefined if it can. The user must be able to read both schemas. */
export async function findMigrationFault(client: ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ both: boolean }>(
    `SELECT to_regclass('${QUEUE_SCHEMA}.migration') IS NOT NULL
        AND to_regclass('stackshim.migration') IS NOT NULL AS both`,
  );
  if (rows[0]?.both !== true) return 'the database has no tables for the queues';
  const ours = await readLedger(client);
  const { rows: theirs } = await client.query<{ version: number }>(
    `SELECT COALESCE(max(version), 0)::int AS version FROM ${QUEUE_SCHEMA}.migration`,
  );
  if ((theirs[0]?.version ?? 0) < LATEST_SCHEMA_VERSION || ours.version < NEWEST_VERSION) {
    return 'the tables of the queues are those of an older version';
  }
  if (ours.oldestReader > NEWEST_VERSION) {
    return 'the tables of the queues are those of a newer version of stackshim';
  }
  return undefined;
}
