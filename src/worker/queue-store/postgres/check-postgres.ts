/** What a PostgreSQL server must be, and what it should be, by its own answers. */
import type { ClientBase } from 'pg';
import { StackshimError } from '../../../core/errors.ts';
import type { StoreLoss } from '../queue-store.ts';
import { denied, unsuitable } from '../store-errors.ts';
import { findMigrationFault } from './migrate-postgres.ts';
import { QUEUE_SCHEMA } from './pg-pool.ts';

export interface PostgresFacts {
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  readonly synchronousCommit: boolean;
}

/** The oldest version that BullMQ recommends. */
const OLDEST_MAJOR = 14;

interface FactsRow {
  readonly number: number;
  readonly version: string;
  readonly standby: boolean;
  readonly readonly: boolean;
  readonly fsync: boolean;
  readonly pages: boolean;
  readonly synchronous: boolean;
}

/** Throws ERR_STACKSHIM_STORE_UNSUITABLE for a server that cannot be the store. */
export async function readSuitable(client: ClientBase, shown: string): Promise<PostgresFacts> {
  const facts = await readFacts(client);
  const refusal = refusalOf(facts, shown);
  if (refusal !== undefined) throw refusal;
  return facts;
}

async function readFacts(client: ClientBase): Promise<PostgresFacts> {
  const { rows } = await client.query<FactsRow>(
    `SELECT current_setting('server_version_num')::int AS number,
            current_setting('server_version') AS version,
            pg_is_in_recovery() AS standby,
            current_setting('default_transaction_read_only')::boolean AS readonly,
            current_setting('fsync')::boolean AS fsync,
            current_setting('full_page_writes')::boolean AS pages,
            current_setting('synchronous_commit') <> 'off' AS synchronous`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the server answered without a row');
  return {
    version: row.version.split(' ')[0] ?? '',
    major: Math.floor(row.number / 10_000),
    isStandby: row.standby,
    isReadOnly: row.readonly,
    fsync: row.fsync,
    fullPageWrites: row.pages,
    synchronousCommit: row.synchronous,
  };
}

/** Why the server cannot be the store; undefined if it can. */
function refusalOf(facts: PostgresFacts, shown: string): StackshimError | undefined {
  if (facts.major < OLDEST_MAJOR) {
    return unsuitable(
      shown,
      `PostgreSQL ${facts.version} is too old`,
      `use PostgreSQL ${OLDEST_MAJOR} or later`,
    );
  }
  if (facts.isStandby || facts.isReadOnly) {
    return unsuitable(
      shown,
      facts.isStandby ? 'the server is a standby' : 'the database is read-only',
      'name the primary, or an address that follows it',
    );
  }
  return undefined;
}

/** Throws ERR_STACKSHIM_STORE_NOT_MIGRATED or _DENIED if this user cannot work with the tables. */
export async function checkTables(client: ClientBase, shown: string): Promise<void> {
  const fault = await findMigrationFault(client);
  if (fault !== undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_STORE_NOT_MIGRATED',
      `open the store ${shown}: ${fault}`,
    );
  }
  const lacking = await findLackingRight(client);
  if (lacking !== undefined) throw denied(shown, `the user lacks rights on ${lacking}`);
}

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/** The first table or sequence that the user may not use as a worker or client does; BullMQ's relay is not used. */
async function findLackingRight(client: ClientBase): Promise<string | undefined> {
  const mayAll = RIGHTS.map((right) => `has_table_privilege(c.oid, '${right}')`).join(' AND ');
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('${QUEUE_SCHEMA}', 'stackshim')
        AND c.relname NOT LIKE 'relay%'
        AND CASE
              WHEN c.relname = 'migration' THEN NOT has_table_privilege(c.oid, 'SELECT')
              WHEN c.relkind = 'r' THEN NOT (${mayAll})
              WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE')
              ELSE false
            END
      ORDER BY 1 LIMIT 1`,
  );
  return rows[0]?.name;
}

/** What the server may lose of what it acknowledged; undefined: nothing. */
export function lossOf(facts: PostgresFacts): StoreLoss | undefined {
  const { fsync, fullPageWrites, synchronousCommit } = facts;
  if (!fsync) {
    return {
      reason: 'fsync is off, a power failure damages the database',
      hint: 'set fsync = on in the configuration of the server',
    };
  }
  if (!fullPageWrites) {
    return {
      reason: 'full_page_writes is off, a power failure may damage the database',
      hint: 'set full_page_writes = on in the configuration of the server',
    };
  }
  if (!synchronousCommit) {
    return {
      reason: 'synchronous_commit is off, a crash loses the last transactions',
      hint: 'set synchronous_commit = on for the server, the database and the user of the store',
    };
  }
  return undefined;
}
