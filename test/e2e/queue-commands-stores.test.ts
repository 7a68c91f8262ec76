/** The `queue` commands of the executable on each kind of store, and on stores that cannot be used. */
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { parseJobName } from '../../src/worker/job/lane.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { takeByHand } from '../support/stores/hand-worker.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { startRedis } from '../support/stores/start-redis.ts';

const folder = mkdtempSync('/var/tmp/stackshim-queue-');
afterAll(() => rmSync(folder, { recursive: true }));
/** No installation. */
const env = { STACKSHIM_ROOT: `${folder}/root`, STACKSHIM_RUN: `${folder}/run` };

it('queue commands act on PostgreSQL as on Redis', async () => {
  const database = await startPostgres();
  const at = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await runCli(['queue', ...args], {
      env: { ...env, STACKSHIM_STORE_URL: database.url },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout.trim();
  };
  await migrateStore(database.url);
  const sql = await openStore(database.url, { lockMs: 60_000, stalledLookMs: 60_000 });
  try {
    const args = ['add', 'sql', '--stack', 'ruby-3.3', '--unbound', '--tenant', 'acme'];
    const job = await at(...args, '--payload', 'p');
    expect(await at('status', job)).toContain('queued');
    expect(await at('ls', 'sql')).toMatch(/acme +- +1 /);
    expect(await at('ls')).toMatch(/sql +acme +- +1 /);
    const taken = await takeByHand(sql, parseJobName(job).lane);
    await taken?.log('out', 'line\n');
    await taken?.end('error');
    expect(await at('logs', job)).toBe('line');
    expect(await at('retry', job)).toBe(job);
    expect(await at('cancel', job)).toBe(job);
    expect(await at('status', job)).toContain('cancelled');
    await at(
      'schedule',
      'sql',
      'nightly',
      '--pattern',
      '0 3 * * *',
      '--stack',
      'ruby-3.3',
      '--unbound',
    );
    expect(await at('schedules', 'sql')).toContain('nightly');
  } finally {
    await sql.close();
    await database.remove();
  }
});

it('queue commands end with 1 within seconds if the store is absent or refuses the password', async () => {
  const server = await startRedis({ password: 'secret' });
  const at = (url: string) =>
    runCli(['queue', 'ls', 'x'], { env: { ...env, STACKSHIM_STORE_URL: url } });
  expect(await at('redis://127.0.0.1:1')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('ERR_STACKSHIM_STORE_UNREACHABLE'),
  });
  const denied = await at(server.url.replace('secret', 'wr0ng'));
  expect(denied.stderr).toContain('ERR_STACKSHIM_STORE_DENIED');
  expect(denied.stderr).not.toContain('wr0ng');
  expect(await at('http://127.0.0.1')).toMatchObject({ status: 2 });
  expect(await at('')).toMatchObject({ status: 2 });
  await server.remove();
});
