/** Completes the report of a task that another process removed, because the owner died or left the removal to it. */
import { toStackshimError } from '../../core/errors.ts';
import type { Removal } from '../ending/remove-task.ts';
import { warn } from '../events.ts';
import type { TaskExit } from '../records/record.ts';
import { readReportAt } from './report.ts';
import { storeEnd } from './store-end.ts';

/** Never rejects: a report that cannot be written counts as lost. Precondition: the caller holds the task's lock and has removed the task. */
export async function settleReport(
  dir: string,
  exit: TaskExit | undefined,
  removal: Removal,
): Promise<void> {
  try {
    const report = readReportAt(dir);
    // The owner is about to store the end of an open report.
    if (report === undefined || report.state === 'open') return;
    const { end } = report;
    if (end === null) {
      const at = exit?.at ?? new Date().toISOString();
      await storeEnd(dir, { at, result: null, exit: exit ?? null });
    } else if (end.result !== null && !end.result.removed) {
      await storeEnd(dir, { ...end, result: { ...end.result, ...removal } });
    }
  } catch (error) {
    warn(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `complete the report ${dir}`));
  }
}
