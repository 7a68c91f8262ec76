/** One table defines the options of a task: docs, schema and command line match it. With UPDATE_DOCS=1 they are written again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { keyOf } from '../../src/cli/define/plain-line.ts';
import { fieldOf, RUN_OPTIONS } from '../../src/cli/define/run-options.ts';
import { OPTION_ROWS } from '../../src/spec/options/task-options.ts';
import {
  replaceBetween,
  toJobSchema,
  toOptionsTable,
  toTrustTable,
} from './support/option-docs.ts';

const at = (path: string) => new URL(`../../${path}`, import.meta.url);

function requireWritten(path: string, toText: (before: string) => string): void {
  const before = readFileSync(at(path), { encoding: 'utf8', flag: 'a+' });
  const expected = toText(before);
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(at(path), expected);
  expect(readFileSync(at(path), 'utf8')).toBe(expected);
}

it('docs/task-spec.md is up to date: UPDATE_DOCS=1 npx vitest run test/unit/task-options.test.ts', () => {
  requireWritten('docs/task-spec.md', (before) =>
    replaceBetween(replaceBetween(before, 'options', toOptionsTable()), 'trust', toTrustTable()),
  );
});

it('schemas/job.schema.json is up to date: UPDATE_DOCS=1 npx vitest run test/unit/task-options.test.ts', () => {
  requireWritten('schemas/job.schema.json', () => `${JSON.stringify(toJobSchema(), null, 2)}\n`);
});

it('every option of the command line sets the field of its row', () => {
  for (const [field, { flags }] of OPTION_ROWS) {
    if (flags !== undefined) expect(fieldOf(keyOf(flags))).toBe(field);
  }
  const own = RUN_OPTIONS.map(([flags]) => keyOf(flags)).filter(
    (key) => fieldOf(key) === undefined,
  );
  expect(own).toEqual(['detach', 'envFile', 'rm', 'result', 'json', 'verbose', 'events']);
});

it('no cell breaks its table, and every limit can be unset', () => {
  for (const [, { doc }] of OPTION_ROWS) {
    const { job, ...cells } = doc;
    for (const cell of Object.values({ ...cells, ...job })) {
      expect(cell).not.toMatch(/\n|(?<!\\)\|/);
    }
  }
});
