/** Completes the report of a task that another process removed, because its owner died or left the removal. */
import { toStackshimError } from '../../core/errors.ts';
import type { Removal } from '../ending/remove-task.ts';
import { warn } from '../events.ts';
import type { TaskExit } from '../records/record.ts';
import { type ReportedEnd, readReportAt, type TaskReport } from './report.ts';
import { storeEnd } from './store-end.ts';

/** Never rejects: a report that cannot be written counts as lost. Precondition: the caller holds the lock of the task, and has removed it. */
export async function settleReport(
  dir: string,
  exit: TaskExit | undefined,
  removal: Removal,
): Promise<void> {
  try {
    const report = readReportAt(dir);
    if (report === undefined) return;
    const end = completed(report, exit, removal);
    if (end !== undefined) await storeEnd(dir, end);
  } catch (error) {
    warn(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `complete the report ${dir}`));
  }
}

/** Undefined: there is nothing to store, or the owner is about to store it. */
function completed(
  { state, end }: TaskReport,
  exit: TaskExit | undefined,
  removal: Removal,
): ReportedEnd | undefined {
  if (state === 'open') return undefined;
  if (end === null) {
    return { at: exit?.at ?? new Date().toISOString(), result: null, exit: exit ?? null };
  }
  const { result } = end;
  return result === null || result.removed
    ? undefined
    : { ...end, result: { ...result, ...removal } };
}
