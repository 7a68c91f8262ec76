/** Looks at a PostgreSQL server for `doctor`. */
import type { Inspection } from '../queue-store.ts';
import { measureSkew } from '../skew.ts';
import type { PostgresAddress } from '../store-url.ts';
import { checkTables, lossOf, readSuitable } from './check-postgres.ts';
import { withClient } from './connect-postgres.ts';
import { readTimeMs } from './statements.ts';

/** Fails as the opening of the store does. */
export const inspectPostgres = (address: PostgresAddress): Promise<Inspection> =>
  withClient(address, async (client) => {
    const facts = await readSuitable(client, address.shown);
    await checkTables(client, address.shown);
    return {
      product: `PostgreSQL ${facts.version}`,
      loss: lossOf(facts),
      skewMs: await measureSkew(() => readTimeMs((text) => client.query(text))),
    };
  });
