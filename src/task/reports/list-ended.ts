/** Lists removed tasks that have left a report. */
import { existsSync } from 'node:fs';
import type { ErrorJson } from '../../core/errors.ts';
import type { StackName, TaskId, TenantName } from '../../core/ids.ts';
import { type Layout, taskDir } from '../../core/layout.ts';
import { unlessDamaged } from '../../store/stored-json.ts';
import type { TaskExit } from '../records/record.ts';
import type { TaskResult } from '../result.ts';
import { listReportIds, readReport, type TaskReport } from './report.ts';

/** A removed task, described by its report. */
export interface EndedTaskEntry {
  readonly id: TaskId;
  readonly stack: StackName;
  readonly revision: number;
  /** `lost`: the owner died, so nobody knows the result. */
  readonly state: 'ended' | 'lost';
  /** Null: the task has no tenant. */
  readonly tenant: TenantName | null;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** ISO 8601, UTC; null: unknown. */
  readonly endedAt: string | null;
  /** Null if `lost`. */
  readonly result: TaskResult | null;
  /** How the command of a lost task ended, if the task's record said that. */
  readonly exit: TaskExit | null;
}

/** The result of {@link listEnded}. */
export interface EndedTasks {
  readonly ended: readonly EndedTaskEntry[];
  /** Reports that could not be read. */
  readonly corrupt: readonly ErrorJson[];
}

/** Lists ended tasks, oldest first, without tasks that still exist. Damaged reports are listed, not thrown. */
export function listEnded(layout: Layout): EndedTasks {
  const ended: EndedTaskEntry[] = [];
  const corrupt: ErrorJson[] = [];
  for (const id of listReportIds(layout)) {
    if (existsSync(taskDir(layout, id))) continue;
    const report = unlessDamaged(
      () => readReport(layout, id),
      (error) => corrupt.push(error.toJSON()),
    );
    if (report !== undefined && report.state !== 'open') ended.push(toEntry(report));
  }
  ended.sort((one, other) => one.createdAt.localeCompare(other.createdAt));
  return { ended, corrupt };
}

function toEntry({ task, end }: TaskReport): EndedTaskEntry {
  const { id, stack, revision, tenant, command, labels, createdAt } = task;
  const result = end?.result ?? null;
  return {
    ...{ id, stack, revision, command, labels, createdAt, result },
    state: result === null ? 'lost' : 'ended',
    tenant: tenant ?? null,
    endedAt: end?.at ?? null,
    exit: end?.exit ?? null,
  };
}
