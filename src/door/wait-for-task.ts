/** `wait`: waits for the end of a task of any process, according to its record and its report. */

import { type FSWatcher, watch } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { type Layout, reportDir, taskDir } from '../core/layout.ts';
import { pause } from '../core/pause.ts';
import type { Installation } from '../task/installation.ts';
import { isOrphaned } from '../task/records/claim-record.ts';
import { readRecord } from '../task/records/read-record.ts';
import type { TaskExit, TaskRecord } from '../task/records/record.ts';
import { toTaskNotFound } from '../task/records/task-errors.ts';
import { holdReport } from '../task/reports/hold-report.ts';
import { readReport, type TaskReport } from '../task/reports/report.ts';
import type { TaskResult } from '../task/result.ts';

/** The options of `wait`. */
export interface WaitOptions {
  /** An abort rejects with ERR_STACKSHIM_TASK_ABORTED. The task goes on. */
  readonly signal?: AbortSignal;
}

/** The end of a task that was waited for. */
export interface TaskEnd {
  readonly id: TaskId;
  /**
   * `removed`: only its report is left. `kept`: it has ended and its writable layer stays. `orphaned`: its owner is dead or could not remove
   * it; `reap` removes it. `lost`: its owner died, and a reap or a reboot removed what it left.
   */
  readonly state: 'removed' | 'kept' | 'orphaned' | 'lost';
  /**
   * The result of a task that was started with `log`, or by the same `Stackshim` before the call of `wait`. Null for other tasks, whose results
   * go to their owners alone, and if the owner died.
   */
  readonly result: TaskResult | null;
  /** How the command ended, according to the task's record; may be known without a result. */
  readonly exit: TaskExit | null;
}

type Waited = Omit<TaskEnd, 'id'>;

const POLL_MS = 20;

/** Waits for a task's end. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_TASK_ABORTED. */
export async function waitForTask(
  { layout, system }: Installation,
  id: TaskId,
  { signal, isKnown }: WaitOptions & { readonly isKnown: boolean },
): Promise<Waited> {
  const first = readRecord(layout, id);
  const held = holdReport(system, reportDir(layout, id));
  const changes = watchFolder(taskDir(layout, id));
  let exit: TaskExit | null = null;
  try {
    for (;;) {
      const now = readRecord(layout, id);
      // Another task may have the same id by now.
      const isSame = now !== undefined && now.createdAt === first?.createdAt;
      if (isSame) exit = now.exit ?? exit;
      const state = first === undefined ? undefined : stateOf(isSame ? now : undefined);
      if (first === undefined || state !== undefined) {
        const report = findReport(layout, id, first);
        if (report === undefined && first === undefined && !isKnown) {
          throw toTaskNotFound('wait for task', id);
        }
        // The owner has yet to store the end of an open report.
        if (report?.state !== 'open') return toEnd(report, exit, state);
      }
      if (signal?.aborted) {
        const message = `wait for task ${id}: cancelled by the caller`;
        const hint = 'the task goes on; wait for it again';
        const options = { hint, details: { id }, cause: signal.reason };
        throw new StackshimError('ERR_STACKSHIM_TASK_ABORTED', message, options);
      }
      await Promise.race([changes.next(), pause(POLL_MS)]);
    }
  } finally {
    changes.close();
    held?.release();
  }
}

/** Watches a folder: `next` resolves at its next change. The record has the exit only while the task is removed: polling would mostly be too late. */
function watchFolder(path: string) {
  let wake: () => void = () => undefined;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(path, { persistent: false }, () => wake());
    watcher.on('error', () => undefined);
  } catch {
    // There is no such task, or the host has no inotify watch left: polling has to do.
  }
  return {
    next: () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      }),
    close: () => watcher?.close(),
  };
}

/** Undefined: the task has not ended yet. */
function stateOf(now: TaskRecord | undefined): TaskEnd['state'] | undefined {
  if (now === undefined) return 'removed';
  if (now.kept) return 'kept';
  return isOrphaned(now) ? 'orphaned' : undefined;
}

/** The report of the task that existed at the first look, or any report if there was no task. */
function findReport(
  layout: Layout,
  id: TaskId,
  first: TaskRecord | undefined,
): TaskReport | undefined {
  const report = readReport(layout, id);
  const isOther = first !== undefined && report?.task.createdAt !== first.createdAt;
  return isOther ? undefined : report;
}

function toEnd(
  report: TaskReport | undefined,
  exit: TaskExit | null,
  state: TaskEnd['state'] = 'removed',
): Waited {
  const { result = null, exit: reported = null } = report?.end ?? {};
  const isLost = state === 'removed' && report?.state === 'lost';
  return { state: isLost ? 'lost' : state, result, exit: reported ?? exit };
}
