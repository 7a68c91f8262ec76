/** Exactly one of several processes that claim a task's record gets it; a claimer that is killed leaves it to the next. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { layoutFrom, taskDir } from '../../src/core/layout.ts';
import { ownIdentity } from '../../src/sys/processes.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { createRecord, dropRecord, type TaskRecord } from '../../src/task/records/record.ts';
import { namesOf, taskPlaces } from '../../src/task/records/task-places.ts';
import { scaled } from '../support/timing/time-scale.ts';

const folder = mkdtempSync('/var/tmp/stackshim-claims-');
afterAll(() => rmSync(folder, { recursive: true }));
const options = { root: `${folder}/lib`, run: `${folder}/run` };
const layout = layoutFrom(options, {});
const id = parseTaskId('offered');
const places = taskPlaces(layout, id);
const program = new URL('../fixtures/claim-record.mjs', import.meta.url).pathname;

const OFFERED: TaskRecord = {
  id,
  owner: ownIdentity(),
  stack: 'busybox' as TaskRecord['stack'],
  revision: 1,
  image: `sha256:${'a'.repeat(64)}` as TaskRecord['image'],
  runtime: { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.3' },
  bindCount: 0,
  command: ['true'],
  labels: {},
  createdAt: new Date(0).toISOString(),
  kept: false,
  disowned: true,
  names: namesOf(places),
};

const claimers: ChildProcess[] = [];

beforeEach(() => createRecord(layout, places, OFFERED));
afterEach(async () => {
  for (const one of claimers.splice(0)) {
    if (one.exitCode !== null || one.signalCode !== null) continue;
    one.kill('SIGKILL');
    await once(one, 'exit');
  }
  dropRecord(places);
});

interface Claimer {
  readonly child: ChildProcess;
  /** What the claimer prints after it may continue; undefined if it died before. */
  go(): Promise<string | undefined>;
}

async function startClaimer(dieAt = -1): Promise<Claimer> {
  const args = [program, options.root, options.run, id, String(dieAt)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  claimers.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    child,
    async go() {
      child.stdin.end();
      const { value } = await lines.next();
      return value;
    },
  };
}

it('exactly one of many concurrent claimers gets the record', {
  timeout: scaled(120_000),
}, async () => {
  const many = await Promise.all(Array.from({ length: 8 }, () => startClaimer()));
  const said = await Promise.all(many.map((one) => one.go()));
  const winners = many.filter((_, index) => said[index]?.startsWith('claimed'));
  expect(said.map((one) => one?.split(' ')[0]).sort()).toEqual([
    'claimed',
    ...Array(7).fill('refused'),
  ]);
  expect(readRecord(layout, id)).toMatchObject({
    owner: { pid: winners[0]?.child.pid },
    disowned: false,
  });
  expect(readdirSync(taskDir(layout, id))).toEqual(['record.json']);
});

it('a claimer that dies at any step leaves the record to the next claimer', {
  timeout: scaled(300_000),
}, async () => {
  const counted = await (await startClaimer()).go();
  const calls = Number(counted?.split(' ')[1]);
  expect(calls).toBeGreaterThan(4);
  for (let call = 0; call < calls; call += 1) {
    dropRecord(places);
    createRecord(layout, places, OFFERED);
    const dying = await startClaimer(call);
    expect(await dying.go()).toBeUndefined();
    // The record is complete: unchanged, or as the dead claimer wrote it.
    const left = readRecord(layout, id);
    const pid = left?.disowned ? OFFERED.owner.pid : dying.child.pid;
    expect(left).toMatchObject({ id, owner: { pid } });
    expect(await (await startClaimer()).go()).toMatch(/^claimed/);
  }
});
