/** Texts that are generated from the table of task options: two tables of docs/task-spec.md, and the JSON schema of data from a queue. */

import { LIMITS } from '../../../src/spec/limits.ts';
import type { OptionRow } from '../../../src/spec/options/option-row.ts';
import { OPTION_ROWS } from '../../../src/spec/options/task-options.ts';

const toTable = (rows: readonly (readonly string[])[]) =>
  rows.map((cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')).join('\n');

const code = (text: string | undefined) => (text === undefined ? '' : `\`${text}\``);

/** The short flag, if there is one. */
const shownOption = ({ doc, name, flags }: OptionRow) =>
  doc.option ?? (flags === undefined ? (name ?? '') : code(/^[^ ,]+/.exec(flags)?.[0]));

function shownAbsent(absent: unknown): string {
  if (typeof absent === 'string') return code(absent);
  return typeof absent === 'boolean' ? String(absent) : 'none';
}

function shownDefault(field: string, { doc, absent }: OptionRow): string {
  if (doc.default !== undefined) return doc.default;
  const limit = LIMITS.find((one) => one.field === field);
  if (limit === undefined) return shownAbsent(absent);
  const { usual, otherwise = Number.POSITIVE_INFINITY, value } = limit;
  if (usual !== undefined) return `policy (${value.show(usual)})`;
  return Number.isFinite(otherwise) ? `policy (none: ${value.show(otherwise)})` : 'policy (none)';
}

export const toOptionsTable = () =>
  toTable([
    ['field', 'option', 'takes', 'default'],
    ['---', '---', '---', '---'],
    ...OPTION_ROWS.map(([field, row]) => [
      code(field),
      shownOption(row),
      row.doc.takes,
      shownDefault(field, row),
    ]),
  ]);

function shownRule(field: string, { doc, allow }: OptionRow): string {
  const limit = LIMITS.find((one) => one.field === field);
  const known = limit === undefined ? allow && `allow.${allow}` : `maxima.${limit.policy}`;
  return doc.rule ?? (known === undefined ? '–' : code(known));
}

export const toTrustTable = () =>
  toTable([
    ['field', "the policy's rule", 'caller', 'data from a queue', 'bound'],
    ['---', '---', '---', '---', '---'],
    ...OPTION_ROWS.map(([field, row]) => [
      code(field),
      shownRule(field, row),
      'yes',
      row.jobs === true ? (row.doc.job?.may ?? 'yes') : `no: ${row.jobs}`,
      row.doc.bound,
    ]),
  ]);

export const withoutLinks = (text: string) =>
  text.replace(/; see \[[^\]]*\]\([^)]*\)/g, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');

/** A schema of JSON Schema 2020-12. */
export function toJobSchema() {
  const rows = OPTION_ROWS.filter(([, { jobs }]) => jobs === true);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Fields of a stackshim task that data from a queue may set',
    type: 'object',
    // A code package may bring the stack.
    anyOf: ['stack', 'code'].map((field) => ({ properties: { [field]: {} }, required: [field] })),
    additionalProperties: false,
    properties: Object.fromEntries(
      rows.map(([field, { doc, value }]) => [
        field,
        { description: withoutLinks(doc.job?.takes ?? doc.takes), ...value.schema },
      ]),
    ),
  };
}

/** Replaces the lines between `<!-- NAME: begin… -->` and `<!-- NAME: end -->` in a document. */
export function replaceBetween(document: string, name: string, lines: string): string {
  const between = new RegExp(`(<!-- ${name}: begin[^\\n]*\\n)[\\s\\S]*?(<!-- ${name}: end -->)`);
  return document.replace(between, (_, begin: string, end: string) => `${begin}${lines}\n${end}`);
}
