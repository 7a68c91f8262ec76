/** Of the statements by which BullMQ reads a job, none gives a row of any size. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { withBoundedRows } from '../../../src/worker/queue-store/postgres/bounded-rows.ts';

/** If this fails after an update of BullMQ, compare its statements with `bounded-rows.ts`. */
it('the statements are BullMQ’s', () => {
  const main = createRequire(import.meta.url).resolve('bullmq');
  const scripts = readFileSync(main.replace(/index\.js$/, 'postgres/sql-scripts.js'), 'utf8');
  for (const name of ['move_to_active', 'get_job_data']) {
    const [, text] = new RegExp(`"${name}\\.sql": (".*"),\\n`).exec(scripts) ?? [];
    const sql: string = JSON.parse(text ?? '""');
    expect(withBoundedRows(sql)).toContain('size.bytes > 16777216');
  }
});

it('others stay as they are', () => {
  const sql = 'SELECT add_job($1, $2, $3, $4, $5, $6, $7, $8) AS id';
  expect(withBoundedRows(sql)).toBe(sql);
});
