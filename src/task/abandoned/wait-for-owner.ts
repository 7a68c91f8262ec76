import { StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { isUnreadable, readRecord } from '../records/read-record.ts';

const POLL_MS = 10;

/**
 * Waits until the owner of a task has gone, so that the task can be reaped. Returns at once if the task does not exist, or if its record
 * names no owner. Throws ERR_STACKSHIM_TASK_CONFLICT if the owner still runs after `waitMs`.
 */
export async function waitForOwner(layout: Layout, id: TaskId, waitMs: number): Promise<void> {
  const owner = readOwner(layout, id);
  if (owner === undefined) return;
  const endsAt = performance.now() + waitMs;
  while (isOwnerAlive(owner)) {
    if (performance.now() > endsAt) throw toBusy(id, owner, waitMs);
    await pause(POLL_MS);
  }
}

function readOwner(layout: Layout, id: TaskId): Owner | undefined {
  try {
    return readRecord(layout, id)?.owner;
  } catch (error) {
    // The reap reports it.
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

function toBusy(id: TaskId, { pid }: Owner, waitMs: number): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_TASK_CONFLICT',
    `wait for the owner of task ${id}: process ${pid} still runs after ${waitMs / 1000} s`,
    {
      hint: 'wait for the owner, which removes the task, or end it with stackshim kill',
      details: { id, ownerPid: pid },
    },
  );
}
