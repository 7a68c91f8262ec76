/** Asks a PostgreSQL server for its settings: whether it can be the store, and how it may lose acknowledged writes. */
import type { ClientBase } from 'pg';
import type { Inspection, StoreLoss } from '../queue-store.ts';
import { measureSkew } from '../skew.ts';
import { denied, notMigrated, unsuitable } from '../store-errors.ts';
import type { PostgresAddress } from '../store-url.ts';
import { withClient } from './connect-postgres.ts';
import { findMigrationFault } from './migrate-postgres.ts';
import { QUEUE_SCHEMA } from './pg-pool.ts';
import { readTimeMs } from './statements.ts';

interface PostgresFacts {
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

/** Throws ERR_STACKSHIM_STORE_UNSUITABLE for a server that cannot be the store. */
export async function readSuitable(
  client: ClientBase,
  shown: string,
): Promise<Pick<Inspection, 'product' | 'loss'>> {
  const { rows } = await client.query<PostgresFacts>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major,
            split_part(current_setting('server_version'), ' ', 1) AS version,
            pg_is_in_recovery() AS "isStandby",
            current_setting('default_transaction_read_only')::boolean AS "isReadOnly",
            current_setting('fsync')::boolean AS fsync,
            current_setting('full_page_writes')::boolean AS "fullPageWrites",
            current_setting('synchronous_commit') <> 'off' AS "synchronousCommit"`,
  );
  const [facts] = rows;
  if (facts === undefined) throw new Error('the server answered without a row');
  if (facts.major < OLDEST_MAJOR) {
    const hint = `use PostgreSQL ${OLDEST_MAJOR} or later`;
    throw unsuitable(shown, `PostgreSQL ${facts.version} is too old`, hint);
  }
  if (facts.isStandby || facts.isReadOnly) {
    const reason = facts.isStandby ? 'the server is a standby' : 'the database is read-only';
    throw unsuitable(shown, reason, 'name the primary, or an address that follows it');
  }
  return { product: `PostgreSQL ${facts.version}`, loss: lossOf(facts) };
}

/** Throws ERR_STACKSHIM_STORE_NOT_MIGRATED or _DENIED if this user cannot work with the tables. */
async function checkTables(client: ClientBase, shown: string): Promise<void> {
  const fault = await findMigrationFault(client);
  if (fault !== undefined) throw notMigrated(shown, fault);
  const lacking = await findLackingRight(client);
  if (lacking !== undefined) throw denied(shown, `the user lacks rights on ${lacking}`);
}

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/** Finds the first table or sequence on which the user lacks a worker's or client's rights. Ignores BullMQ's relay, which is not used. */
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

/** How the server may lose acknowledged writes; undefined if it keeps them. */
function lossOf(facts: PostgresFacts): StoreLoss | undefined {
  if (!facts.fsync) {
    return {
      reason: 'fsync is off, a power failure damages the database',
      hint: 'set fsync = on in the configuration of the server',
    };
  }
  if (!facts.fullPageWrites) {
    return {
      reason: 'full_page_writes is off, a power failure may damage the database',
      hint: 'set full_page_writes = on in the configuration of the server',
    };
  }
  if (facts.synchronousCommit) return undefined;
  return {
    reason: 'synchronous_commit is off, a crash loses the last transactions',
    hint: 'set synchronous_commit = on for the server, the database and the user of the store',
  };
}

/** Inspects a server and its tables. Fails as opening the store does. */
export const inspectPostgres = (address: PostgresAddress): Promise<Inspection> =>
  withClient(address, async (client) => {
    const facts = await readSuitable(client, address.shown);
    await checkTables(client, address.shown);
    const skewMs = await measureSkew(() => readTimeMs((text) => client.query(text)));
    return { ...facts, skewMs };
  });
