/** Which reports of ended tasks stay, and how often all of them are looked at. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { reportsDir, tasksDir } from '../../src/core/layout.ts';
import { pruneReports, pruneSometimes } from '../../src/task/reports/prune-reports.ts';
import { layoutBelow } from '../support/installation/test-layout.ts';

const TERMS = { count: 100, bytes: 1024 ** 3, ageMs: 3_600_000, logBytes: 1 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-prune-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const here = () => layoutBelow(folder);
const add = (id: string) => mkdirSync(join(reportsDir(here()), id), { recursive: true });
const ids = () => readdirSync(reportsDir(here())).filter((name) => name !== '.looked');

// A look at all reports takes longer than a task: the ends of many tasks share one.
it('a look because of their number makes room for the next ones', async () => {
  const layout = here();
  for (let number = 1; number <= 100; number += 1) add(`task-${number}`);
  await pruneSometimes({ layout }, TERMS);
  expect(ids().length).toBe(100);
  add('one-more');
  await pruneSometimes({ layout }, TERMS);
  expect(ids().length).toBe(95);
  for (let number = 1; number <= 5; number += 1) add(`later-${number}`);
  await pruneSometimes({ layout }, TERMS);
  expect(ids().length).toBe(100);
});

it('the logs of running tasks push out no result', async () => {
  const layout = here();
  for (const id of ['running-1', 'running-2']) {
    add(id);
    mkdirSync(join(tasksDir(layout), id), { recursive: true });
    writeFileSync(join(reportsDir(layout), id, 'log.1'), Buffer.alloc(1_000_000));
  }
  for (const [id, age] of [
    ['older', 20],
    ['newer', 10],
  ] as const) {
    add(id);
    const at = Date.now() / 1000 - age;
    utimesSync(join(reportsDir(layout), id), at, at);
  }
  const pruned = await pruneReports(layout, { ...TERMS, count: 1, bytes: 500_000 });
  expect(pruned.ids).toEqual(['older']);
  expect(ids().sort()).toEqual(['newer', 'running-1', 'running-2']);
});
