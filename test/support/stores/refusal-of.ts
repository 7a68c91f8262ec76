/** Why a store is refused. */
import { expect } from 'vitest';
import { openStore } from '../../../src/worker/queue-store/open-store.ts';

/** The error with which the opening fails. Passwords of tests contain `s3cret`: nothing that the error holds may have it. */
export async function refusalOf(url: string): Promise<Error> {
  const thrown: unknown = await openStore(url, { lockMs: 30_000, stalledLookMs: 1000 }).then(
    (store) => store.close(),
    (error: unknown) => error,
  );
  if (!(thrown instanceof Error)) throw new Error('the store was not refused');
  const { message, stack, cause } = thrown;
  const said = [message, stack, String(cause), JSON.stringify(thrown), JSON.stringify(cause)];
  expect(said.join('\n')).not.toMatch(/s3cret/);
  return thrown;
}
