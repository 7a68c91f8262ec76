/** `stackshim doctor` with a store of the queues. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { findFreePort, type RedisServer, startRedis } from '../support/stores/start-redis.ts';

const { env } = useInstallation();
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis({ password: 's3cret', log: 'everysec' });
});
afterAll(() => server?.remove());

it('tells what the store does not keep', async () => {
  const withStore = { ...env, STACKSHIM_STORE_URL: server.url };
  const { status, stdout, stderr } = await runCli(['doctor'], { env: withStore });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^ok +store +Redis \d\S+ at redis:\/\/127\.0\.0\.1:\d+$/m);
  expect(stdout).toMatch(/^warn +store durability +does not keep what it acknowledges:/m);
  expect(stdout).toMatch(/^ok +store clock /m);
  expect(stdout).toMatch(/^store durability +set appendonly yes and appendfsync always/m);
  expect(stdout).not.toContain('s3cret');
});

it('fails for a store that workers cannot use, and tells why', async () => {
  const url = `redis://u:s3cret@127.0.0.1:${await findFreePort()}`;
  const { status, stdout } = await runCli(['doctor', '--store', url, '--json'], { env });
  expect(status).toBe(1);
  const { checks, ...verdict } = JSON.parse(stdout) as { checks: readonly object[] };
  expect(verdict).toEqual({ canRunTasks: true, canUseStore: false });
  expect(checks.at(-1)).toMatchObject({ name: 'store', status: 'fail', required: false });
  const shown = await runCli(['doctor', '--store', url], { env });
  expect(shown.stdout).toMatch(/\ntasks can run on this host, but workers cannot use the store\n$/);
  expect(stdout + shown.stdout + shown.stderr).not.toContain('s3cret');
});

it('refuses a URL that it cannot read', async () => {
  const { status, stderr } = await runCli(['doctor', '--store', 'nats://u:s3cret@h'], { env });
  expect(status).toBe(2);
  expect(stderr).toContain('[ERR_STACKSHIM_STORE_INVALID]');
  expect(stderr).not.toContain('s3cret');
});
