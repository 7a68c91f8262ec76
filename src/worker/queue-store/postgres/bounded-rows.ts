/** Lets PostgreSQL give no more of a job than a worker reads. BullMQ selects whole rows. Pure. */
import { ENTRY_BYTES, OVERSIZE, SMALL_BYTES } from '../oversize.ts';

/** Statements of BullMQ that give rows of jobs: what they select from. */
const SOURCES: readonly string[] = [
  'move_to_active($1, $2, $3, $4, $5, $6, $7)',
  'job WHERE queue = $1 AND id = $2',
];

const LARGE = ['opts', 'progress', 'return_value', 'stacktrace', 'failed_reason'] as const;
const sizeOf = (name: string) => `COALESCE(octet_length(taken.${name}::text), 0)`;
const SIZE = ['data', ...LARGE].map(sizeOf).join(' + ');
/** Replaces what is not small. */
const SMALL = [
  `jsonb_build_object('data', jsonb_build_object('${OVERSIZE}', size.bytes))`,
  ...LARGE.map((name) => {
    const none = name === 'opts' ? '{}' : 'null';
    return `CASE WHEN ${sizeOf(name)} > ${SMALL_BYTES} THEN '{"${name}":${none}}' ELSE '{}' END::jsonb`;
  }),
].join(' || ');

/** The row of a job that is too large has the size as its data, and only small values beside it. */
export function withBoundedRows(sql: string): string {
  const source = SOURCES.find((text) => sql.includes(`SELECT * FROM ${text};`));
  if (source === undefined) return sql;
  // Of an empty object, jsonb_populate_record makes the record that it is given.
  return sql.replace(
    `SELECT * FROM ${source};`,
    `SELECT kept.* FROM (SELECT * FROM ${source}) AS taken,
  LATERAL (SELECT ${SIZE} AS bytes) AS size,
  LATERAL jsonb_populate_record(ROW(taken.*)::job, CASE WHEN size.bytes > ${ENTRY_BYTES} THEN ${SMALL} ELSE '{}'::jsonb END) AS kept;`,
  );
}
