/** Formats jobs, lanes and schedules for people. Pure. */

import { showDuration } from '../../spec/quantities.ts';
import type { LaneSummary, Schedule } from '../../worker/client/queues.ts';
import type { JobResult, JobStatus } from '../../worker/job/job-result.ts';
import { formatAge } from './format-quantities.ts';
import { formatTable } from './format-table.ts';

/** @param whole Shorten nothing. */
export function formatJobs(jobs: readonly JobStatus[], now: number, whole: boolean): string {
  const rows = jobs.map((status) => [
    status.job,
    status.state,
    String(attemptOf(status)),
    formatAge(now - Date.parse(status.queuedAt)),
    runTime(status, now),
    detailOf(status, now),
  ]);
  const header = ['JOB', 'STATE', 'ATTEMPT', 'AGE', 'TIME', 'DETAIL'];
  return formatTable(header, rows, { whole, cut: ['DETAIL'] });
}

const attemptOf = ({ result, live, attempts }: JobStatus) =>
  result?.attempt ?? live?.attempt ?? attempts.length;

/** How long the last attempt's command has run. */
function runTime({ result, live }: JobStatus, now: number): string {
  const from = Date.parse(result?.startedAt ?? live?.startedAt ?? '');
  const to = result === null ? now : Date.parse(result.finishedAt);
  return Number.isNaN(from) || to < from ? '' : showDuration(Math.round((to - from) / 10) * 10);
}

function detailOf(status: JobStatus, now: number): string {
  const { result, live, runAt, waiting } = status;
  if (result !== null) return endOf(result);
  if (live?.progress) return live.progress;
  if (waiting === null) return runAt === null ? '' : `starts at ${runAt}`;
  const { since, reason, nextTryAt, triedUntil } = waiting;
  const waited = formatAge(now - Date.parse(since));
  const end = triedUntil === null ? '' : `, at last at ${triedUntil}`;
  return `waiting for ${waited}: ${reason}; next try at ${nextTryAt}${end}`;
}

/** Why a job ended as it did, without its state. */
function endOf({ state, error, task, progress }: JobResult): string {
  if (state === 'complete') return progress ?? '';
  if (error !== null) return error.message;
  if (task === null) return '';
  const { verdict, exitCode, signal } = task;
  if (verdict === 'failed') return `exit code ${exitCode}`;
  return verdict === 'signaled' ? `signal ${signal}` : verdict;
}

const NONE = '-';

/** @param withQueue The lanes are those of several queues. */
export function formatLanes(
  lanes: readonly LaneSummary[],
  now: number,
  { whole, withQueue }: { readonly whole: boolean; readonly withQueue: boolean },
): string {
  const rows = lanes.map((lane) => [
    ...(withQueue ? [lane.queue] : []),
    lane.tenant ?? NONE,
    lane.code ?? NONE,
    ...[lane.queued, lane.delayed, lane.running, lane.complete, lane.failed].map(String),
    lane.oldestAt === null ? '' : formatAge(now - Date.parse(lane.oldestAt)),
    lane.isPaused ? 'paused' : '',
  ]);
  const header = [
    ...(withQueue ? ['QUEUE'] : []),
    ...['TENANT', 'CODE', 'QUEUED', 'DELAYED', 'RUNNING', 'COMPLETE', 'FAILED'],
    ...['OLDEST', 'STATE'],
  ];
  return formatTable(header, rows, { whole });
}

export function formatSchedules(schedules: readonly Schedule[], whole: boolean): string {
  const rows = schedules.map(({ id, tenant, pattern, tz, everyMs, nextAt, stack, code }) => [
    id,
    tenant ?? NONE,
    pattern === null ? `every ${showDuration(everyMs ?? 0)}` : `${pattern} ${tz}`,
    nextAt ?? '',
    code ?? stack ?? '',
  ]);
  return formatTable(['SCHEDULE', 'TENANT', 'WHEN', 'NEXT', 'RUNS'], rows, { whole });
}
