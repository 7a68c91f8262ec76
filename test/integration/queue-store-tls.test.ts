/** Connections to the store that are encrypted. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import { type Certificate, makeCertificate } from '../support/stores/make-certificate.ts';
import { refusalOf } from '../support/stores/refusal-of.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { startRedis } from '../support/stores/start-redis.ts';

const OPTIONS = { lockMs: 30_000, stalledLookMs: 1000 };
const SECRET = 's3cret/word';
let certificate: Certificate;

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate?.remove());

it('Redis: the certificate is verified, against an authority of the URL or of the machine', async () => {
  const server = await startRedis({ password: SECRET, tls: certificate });
  expect(await refusalOf(server.url)).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
    message: expect.stringContaining('self-signed certificate'),
  });
  const url = `${server.url}?cacert=${certificate.cert}`;
  expect(await refusalOf(url.replace('127.0.0.1', 'localhost'))).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
    message: expect.stringContaining("does not match certificate's altnames"),
  });
  expect(await refusalOf(url.replace('rediss:', 'redis:').replace(/\?.*/, ''))).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
  });
  const store = await openStore(url, OPTIONS);
  const unlisten = await store.listen(['q'], {
    onBell: () => undefined,
    onCancel: () => undefined,
    onGap: () => undefined,
  });
  unlisten();
  await store.close();
  await server.remove();
});

it('PostgreSQL: sslmode says what is verified', async () => {
  const server = await startPostgres({ password: SECRET, tls: certificate });
  await migrateStore(server.url);
  const full = `${server.url}?sslmode=verify-full`;
  expect(await refusalOf(full)).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
    message: expect.stringContaining('self-signed certificate'),
  });
  const known = `${full}&sslrootcert=${certificate.cert}`;
  expect(await refusalOf(known.replace('127.0.0.1', 'localhost'))).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
    message: expect.stringContaining("does not match certificate's altnames"),
  });
  for (const url of [known, `${server.url}?sslmode=require`]) {
    const store = await openStore(url, OPTIONS);
    expect(await store.listLanes('q')).toEqual([]);
    await store.close();
  }
  await server.remove();
});
