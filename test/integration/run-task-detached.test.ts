/** `detach`, `logs`, `wait`, `inspect`, `listEnded` and `remove` of the library. The keeper is a Node process of dist/lib. Requires: root. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { type LogPiece, openStackshim } from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { env, options } = useInstallation();
const stackshim = openStackshim(options);
const fixture = fileURLToPath(new URL('../fixtures/run-detached.mjs', import.meta.url));

async function detach(id: string, script: string, origin = 'caller'): Promise<unknown> {
  const given = { env: { ...process.env, ...env } };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fixture, id, script, origin],
    given,
  );
  return JSON.parse(stdout);
}

afterEach(async () => {
  const { tasks } = await stackshim.list();
  for (const { id, ownerPid } of tasks) {
    await stackshim.remove(id, { force: true, stopTimeout: 0 });
    await waitUntil(() => !existsSync(`/proc/${ownerPid}`));
  }
  for (const { id } of (await stackshim.listEnded()).ended) await stackshim.remove(id);
});

it('a task goes on when the process that detached it has ended, and leaves its result', async () => {
  expect(await detach('on', 'echo on; sleep 0.5; echo off; exit 9')).toEqual({
    id: 'on',
    result: null,
  });
  const { record } = await stackshim.inspect('on');
  const keeper = record?.owner.pid ?? 0;
  expect(readFileSync(`/proc/${keeper}/cmdline`, 'utf8')).toContain('keeper-process.js');
  let followed = '';
  for await (const { bytes } of await stackshim.logs('on', { follow: true })) {
    followed += Buffer.from(bytes).toString();
  }
  expect(followed).toBe('on\noff\n');
  expect(await stackshim.wait('on')).toMatchObject({
    state: 'removed',
    result: { verdict: 'failed', exitCode: 9, removed: true },
  });
  await waitUntil(() => !existsSync(`/proc/${keeper}`));
  const { ended, corrupt } = await stackshim.listEnded();
  expect({ ids: ended.map(({ id }) => id), corrupt }).toEqual({ ids: ['on'], corrupt: [] });
  expect(await stackshim.remove('on')).toEqual({ removed: true, leftovers: [] });
  await expect(stackshim.wait('on')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_NOT_FOUND',
  });
});

it('a task of this process with log leaves the same', async () => {
  const input = { stack: 'busybox', command: ['echo', 'text'], id: 'own', log: true };
  const result = await stackshim.run(input);
  expect(result.output).toMatchObject({ stdout: 'text\n', log: { bytes: 5, lostBytes: 0 } });
  const end = await stackshim.wait('own');
  expect(end).toMatchObject({ state: 'removed', result: { id: 'own', verdict: 'succeeded' } });
  const pieces: LogPiece[] = [];
  for await (const piece of await stackshim.logs('own')) pieces.push(piece);
  expect(pieces).toMatchObject([{ stream: 'stdout', beginsLine: true }]);
  await expect(stackshim.run(input)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_CONFLICT' });
  await expect(stackshim.run({ ...input, log: false })).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_CONFLICT',
    hint: 'remove it with stackshim rm own, or take another id',
  });
  expect((await stackshim.list()).tasks).toEqual([]);
});

it('the result tells of a removal that came after it', async () => {
  const input = { stack: 'busybox', command: ['true'], id: 'later', log: true };
  const { removed } = await stackshim.run({ ...input, remove: 'async' });
  expect(removed).toBe(false);
  await waitUntil(async () => (await stackshim.inspect('later')).result?.removed);
});

it('data from a queue can be detached, and may set no more than otherwise', async () => {
  const script = 'echo job; sleep 1000';
  const { id } = (await detach('any', script, 'job')) as { readonly id: string };
  const { record, spec } = await stackshim.inspect(id);
  expect([record?.origin, spec?.['log']]).toEqual(['job', true]);
  const denied = { stack: 'busybox', command: ['true'], keep: true };
  await expect(stackshim.run(denied, { origin: 'job' })).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_DENIED',
  });
});

it('detach refuses what needs a caller', async () => {
  const input = { stack: 'busybox', command: ['true'] };
  for (const more of [{ interactive: true }, { captureBytes: 1000 }]) {
    await expect(stackshim.detach({ ...input, ...more })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: Object.keys(more)[0] },
    });
  }
});

it('reading a log ends when its signal aborts', async () => {
  await detach('endless', 'echo up; exec sleep 1000');
  const stop = new AbortController();
  const seen: string[] = [];
  const options = { follow: true, signal: stop.signal };
  for await (const { bytes } of await stackshim.logs('endless', options)) {
    seen.push(Buffer.from(bytes).toString());
    stop.abort();
  }
  expect(seen).toEqual(['up\n']);
});
