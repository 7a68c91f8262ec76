/** `rm`: removes what an ended task has left. */

import { existsSync } from 'node:fs';
import type { TaskId } from '../../core/ids.ts';
import { reportDir, taskDir } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import { type KillTaskOptions, killTask } from '../ending/kill-task.ts';
import type { Removal } from '../ending/remove-task.ts';
import type { Installation } from '../installation.ts';
import { findTask } from '../records/list-tasks.ts';
import { ORPHANED, toTaskConflict, toTaskNotFound } from '../records/task-errors.ts';
import { untilUnheld } from './hold-report.ts';
import { removeReport } from './prune-reports.ts';
import { isReportOpen } from './report.ts';

const REMOVE = 'remove task';
const POLL_MS = 10;
/** How long an owner may take to store the end of a task that it has removed. */
const STORED_WITHIN_MS = 10_000;

/**
 * Removes a task's report, and a kept task itself. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, and without `force` with
 * ERR_STACKSHIM_TASK_CONFLICT if the task has not ended or has lost its owner. The report stays if anything else of the task does.
 */
export async function removeEnded(
  installation: Installation,
  id: TaskId,
  options: KillTaskOptions & { readonly force: boolean },
): Promise<Removal> {
  const { layout } = installation;
  const exists = requireEnded(installation, id, options.force);
  const removal: Removal = exists
    ? await killTask(installation, id, options)
    : { removed: true, leftovers: [] };
  if (!removal.removed) return removal;
  // The owner of a removed task may be storing its end.
  const giveUpAt = performance.now() + STORED_WITHIN_MS;
  while (isReportOpen(layout, id) && performance.now() < giveUpAt) await pause(POLL_MS);
  await untilUnheld(installation.system, reportDir(layout, id));
  if (!(await removeReport(layout, id)) && !exists) throw toTaskNotFound(REMOVE, id);
  return removal;
}

/** Whether the task still exists, besides its report. Throws ERR_STACKSHIM_TASK_CONFLICT if it has not ended, unless `force` is set. */
function requireEnded(installation: Installation, id: TaskId, force: boolean): boolean {
  if (force) return existsSync(taskDir(installation.layout, id));
  const { state } = findTask(installation, id) ?? {};
  if (state === undefined) return false;
  if (state === 'kept') return true;
  throw toTaskConflict(
    REMOVE,
    id,
    state === 'orphaned'
      ? { ...ORPHANED, hint: 'run stackshim reap first, or end and remove it with --force' }
      : { state, why: `it is ${state}`, hint: 'wait for its end, or end it with --force' },
  );
}
