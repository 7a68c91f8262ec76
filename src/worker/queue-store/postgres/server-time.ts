/** Makes PostgreSQL use its own clock for all times: BullMQ passes the client's, and one a minute ahead would take others' running jobs. Pure. */

const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/**
 * BullMQ's statements, recognised by a part of their text. `times`: the parameters that are the client's time. `delayed`: the parameter that is the
 * time plus a delay, and the parameter that is the delay. `add_job` keeps the producer's time, from which a delayed job's due time follows, however
 * long the add takes.
 */
const STATEMENTS: readonly {
  readonly part: string;
  readonly times: readonly number[];
  readonly delayed?: readonly [time: number, delay: number];
}[] = [
  { part: 'add_job_scheduler(', times: [8] },
  { part: 'change_delay(', times: [4] },
  { part: 'collect_metrics(', times: [4] },
  { part: 'extend_lock(', times: [5] },
  { part: 'SET locked_until_ms = $5::bigint + $4::bigint', times: [5] },
  { part: 'AND (expire_at_ms IS NULL OR expire_at_ms > $3)', times: [3] },
  { part: 'AND (expire_at_ms IS NULL OR expire_at_ms > $4)', times: [4] },
  { part: ' rate_limit_ttl($1', times: [3] },
  { part: 'move_active_to_wait(', times: [4] },
  { part: 'move_stalled_jobs_to_wait(', times: [3] },
  { part: 'move_to_active(', times: [4] },
  { part: 'move_to_completed(', times: [5] },
  { part: 'move_to_completed_fetch(', times: [5, 10] },
  { part: 'move_to_delayed(', times: [], delayed: [4, 5] },
  { part: 'move_to_failed(', times: [6] },
  { part: 'move_to_failed_fetch(', times: [6, 11] },
  { part: 'next_signal(', times: [3] },
  { part: 'remove_child_dependency(', times: [4] },
  { part: 'set_rate_limit(', times: [3] },
  { part: 'update_job_scheduler_next_millis(', times: [6] },
];

/** Replaces the client's time by the server's in a statement. The parameters stay unchanged. */
export function withServerTime(sql: string): string {
  const found = STATEMENTS.find(({ part }) => sql.includes(part));
  if (found === undefined) return sql;
  return sql.replace(/\$(\d+)(?!\d)/g, (parameter, digits: string) => {
    const at = Number(digits);
    // COALESCE keeps the parameter in the statement: an unused parameter is an error.
    if (found.times.includes(at)) return `COALESCE(${NOW}, ${parameter}::bigint)`;
    const [time, delay] = found.delayed ?? [];
    if (at === time) return `COALESCE(${NOW} + $${delay}::bigint, ${parameter}::bigint)`;
    return parameter;
  });
}
