/** Looks at a PostgreSQL server for `doctor`. */
import type { Inspection } from '../check-store.ts';
import { measureSkew } from '../skew.ts';
import type { PostgresAddress } from '../store-url.ts';
import { checkTables, type PostgresFacts, readPostgresFacts, refusalOf } from './check-postgres.ts';
import { withClient } from './connect-postgres.ts';
import { readTimeMs } from './statements.ts';

/** Fails as the opening of the store does. */
export const inspectPostgres = (address: PostgresAddress): Promise<Inspection> =>
  withClient(address, async (client) => {
    const facts = await readPostgresFacts(client);
    const refusal = refusalOf(facts, address.shown);
    if (refusal !== undefined) throw refusal;
    await checkTables(client, address.shown);
    return {
      product: `PostgreSQL ${facts.version}`,
      loss: lossOf(facts),
      skewMs: await measureSkew(() => readTimeMs((text) => client.query(text))),
    };
  });

function lossOf(facts: PostgresFacts): Inspection['loss'] {
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
