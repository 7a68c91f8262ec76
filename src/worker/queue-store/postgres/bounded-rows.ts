/** Bounds how much of a job PostgreSQL returns, because BullMQ selects whole rows. Pure. */
import { ENTRY_BYTES, OVERSIZE, SMALL_BYTES } from '../oversize.ts';

/** The sources of BullMQ's statements that return job rows. */
const SOURCES: readonly string[] = [
  'move_to_active($1, $2, $3, $4, $5, $6, $7)',
  'job WHERE queue = $1 AND id = $2',
];

const LARGE = ['opts', 'progress', 'return_value', 'stacktrace', 'failed_reason'] as const;
const sizeOf = (name: string) => `COALESCE(octet_length(taken.${name}::text), 0)`;
const SIZE = ['data', ...LARGE].map(sizeOf).join(' + ');
/** Replaces the data, and other values that are not small. */
const SMALL = [
  `jsonb_build_object('data', jsonb_build_object('${OVERSIZE}', size.bytes))`,
  ...LARGE.map((name) => {
    const none = name === 'opts' ? '{}' : 'null';
    return `CASE WHEN ${sizeOf(name)} > ${SMALL_BYTES} THEN '{"${name}":${none}}' ELSE '{}' END::jsonb`;
  }),
].join(' || ');

/** Rewrites a statement so that an oversized job's row has the size as its data and only small values beside it. */
export function withBoundedRows(sql: string): string {
  const source = SOURCES.find((text) => sql.includes(`SELECT * FROM ${text};`));
  if (source === undefined) return sql;
  // With an empty object, jsonb_populate_record returns the record unchanged.
  return sql.replace(
    `SELECT * FROM ${source};`,
    `SELECT kept.* FROM (SELECT * FROM ${source}) AS taken,
  LATERAL (SELECT ${SIZE} AS bytes) AS size,
  LATERAL jsonb_populate_record(ROW(taken.*)::job, CASE WHEN size.bytes > ${ENTRY_BYTES} THEN ${SMALL} ELSE '{}'::jsonb END) AS kept;`,
  );
}
