/** The first connection to a PostgreSQL server. All work has a time limit; failures have the reason. */
import type { Client } from 'pg';
import { messageOf, StackshimError } from '../../../core/errors.ts';
import { pause, within } from '../../../core/pause.ts';
import { denied, unreachable } from '../store-errors.ts';
import type { PostgresAddress } from '../store-url.ts';
import { codeOf, cut, newClient } from './pg-pool.ts';

const OPEN_MS = 8000;
const END_MS = 1000;
const STARTING_PAUSE_MS = 200;
const CANNOT_CONNECT_NOW = '57P03';

/** Calls `act` with a new connection. Connecting and `act` share the time limit; the connection is closed afterwards. */
export async function withClient<T>(
  address: PostgresAddress,
  act: (client: Client) => Promise<T>,
): Promise<T> {
  let client: Client | undefined;
  const work = async () => {
    const connected = await connect(address, (made) => {
      client = made;
    });
    return { result: await act(connected) };
  };
  try {
    const done = await within(work(), OPEN_MS);
    if (done === undefined)
      throw unreachable(address.shown, `no answer within ${OPEN_MS / 1000} s`);
    return done.result;
  } catch (error) {
    throw error instanceof StackshimError ? error : reasonFor(address.shown, error);
  } finally {
    if (client !== undefined) {
      await within(
        client.end().catch(() => undefined),
        END_MS,
      );
      cut(client);
    }
  }
}

/** Connects. Retries within the time limit while the server is starting. */
async function connect(
  address: PostgresAddress,
  onMade: (client: Client) => void,
): Promise<Client> {
  const giveUpAt = performance.now() + OPEN_MS;
  for (;;) {
    const client = newClient(address);
    client.on('error', () => undefined);
    onMade(client);
    try {
      await client.connect();
      return client;
    } catch (error) {
      const isStarting = error instanceof Error && codeOf(error) === CANNOT_CONNECT_NOW;
      if (!isStarting || performance.now() > giveUpAt) throw error;
    }
    await pause(STARTING_PAUSE_MS);
  }
}

const DENIED: ReadonlySet<string> = new Set(['28P01', '28000', '42501']);

function reasonFor(shown: string, error: unknown): StackshimError {
  const code = error instanceof Error ? codeOf(error) : undefined;
  const reason = messageOf(error) || code || 'the connection failed';
  return DENIED.has(code ?? '') ? denied(shown, reason) : unreachable(shown, reason);
}
