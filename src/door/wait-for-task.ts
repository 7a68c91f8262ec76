/** `wait`: waits for the end of a task of any process, according to its record. */
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { pause } from '../core/pause.ts';
import type { Installation } from '../task/installation.ts';
import { isOrphaned } from '../task/records/claim-record.ts';
import { readRecord } from '../task/records/read-record.ts';
import type { TaskRecord } from '../task/records/record.ts';
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
   * `removed`: nothing of it is left. `kept`: it has ended and its writable layer stays. `orphaned`: its owner is dead or could not remove
   * it; `reap` removes it.
   */
  readonly state: 'removed' | 'kept' | 'orphaned';
  /**
   * Null unless the same `Stackshim` started the task and `wait` was called before the task was removed: the result of another process's
   * task goes to its owner alone.
   */
  readonly result: TaskResult | null;
}

const POLL_MS = 20;

/** Rejects with ERR_STACKSHIM_TASK_NOT_FOUND, ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_TASK_ABORTED. */
export async function waitForTask(
  { layout }: Installation,
  id: TaskId,
  { signal, isKnown }: WaitOptions & { readonly isKnown: boolean },
): Promise<TaskEnd['state']> {
  const first = readRecord(layout, id);
  if (first === undefined) {
    // The task has just ended.
    if (isKnown) return 'removed';
    throw new StackshimError('ERR_STACKSHIM_TASK_NOT_FOUND', `wait for task ${id}: no such task`, {
      details: { id },
    });
  }
  for (;;) {
    const state = stateOf(first, readRecord(layout, id));
    if (state !== undefined) return state;
    if (signal?.aborted) throw toAborted(id, signal.reason);
    await pause(POLL_MS);
  }
}

/** Undefined: the task has not ended yet. */
function stateOf(first: TaskRecord, now: TaskRecord | undefined): TaskEnd['state'] | undefined {
  // Another task may have the same name by now.
  if (now === undefined || now.createdAt !== first.createdAt) return 'removed';
  if (now.kept) return 'kept';
  return isOrphaned(now) ? 'orphaned' : undefined;
}

const toAborted = (id: TaskId, cause: unknown) =>
  new StackshimError('ERR_STACKSHIM_TASK_ABORTED', `wait for task ${id}: cancelled by the caller`, {
    hint: 'the task goes on; wait for it again',
    details: { id },
    cause,
  });
