/** Waits until a task's owner has ended. */
import { StackshimError, unlessFailed } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import { isOwnerAlive } from '../../sys/processes.ts';
import { readRecord, UNREADABLE } from '../records/read-record.ts';

const POLL_MS = 10;

/**
 * Waits until a task's owner has ended, so that the task can be reaped. Returns at once if there is no such
 * task or its record is unreadable. Throws ERR_STACKSHIM_TASK_CONFLICT if the owner still runs after `waitMs`.
 */
export async function waitForOwner(layout: Layout, id: TaskId, waitMs: number): Promise<void> {
  // The reap reports an unreadable record.
  const owner = unlessFailed(() => readRecord(layout, id)?.owner, UNREADABLE);
  const endsAt = performance.now() + waitMs;
  while (owner !== undefined && isOwnerAlive(owner)) {
    if (performance.now() > endsAt) {
      const { pid } = owner;
      const message = `wait for the owner of task ${id}: process ${pid} still runs after ${waitMs / 1000} s`;
      throw new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', message, {
        hint: 'wait for the owner, which removes the task, or end it with stackshim kill',
        details: { id, ownerPid: pid },
      });
    }
    await pause(POLL_MS);
  }
}
