/** Decides who may act on a task whose owner does not answer: the holder of the folder's lock, who then becomes the owner in the record. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { taskDir } from '../../core/layout.ts';
import { withFd } from '../../sys/paths.ts';
import { bootId, isOwnerAlive, ownIdentity } from '../../sys/processes.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from './read-record.ts';
import { OwnRecord, replaceRecord, type TaskRecord } from './record.ts';
import { recordedPlaces, type TaskPlaces } from './task-places.ts';

/** Whether no process answers for the task: its owner is dead or could not remove it. Precondition: the task is not kept. */
export const isOrphaned = ({ disowned, owner }: TaskRecord): boolean =>
  disowned || !isOwnerAlive(owner);

/** Whether anybody may remove the task: it is orphaned, or it was kept in an earlier boot. */
export const isAbandoned = (record: TaskRecord): boolean =>
  record.kept ? record.owner.bootId !== bootId() : isOrphaned(record);

/**
 * Whether the task is a prepared container that waits for its command. Whether its owner lives does not
 * matter: nobody works on the container, so the holder of the folder's lock may claim or remove it.
 */
export const isWaiting = (
  { waitingFile }: Pick<TaskPlaces, 'waitingFile'>,
  { command, disowned }: TaskRecord,
): boolean => command.length === 0 && !disowned && existsSync(waitingFile);

type ClaimContext = Pick<Installation, 'layout' | 'system'>;

/**
 * Locks a task's folder and reads the record under the lock. Undefined if another process has the lock, there is no such task, or
 * `isWanted` rejects its record. Throws like `readRecord`. The caller closes the lock to release the task; if it dies, the kernel does.
 */
export function lockRecord(
  { layout, system }: ClaimContext,
  id: TaskId,
  isWanted: (record: TaskRecord) => boolean,
): { readonly record: TaskRecord; readonly lock: Fd } | undefined {
  const lock = unlessMissing(() => openSync(taskDir(layout, id), 'r'));
  if (lock === undefined) return undefined;
  let isOurs = false;
  try {
    // Read under the lock: the task may be gone by now, and a new one may have its name.
    const record = system.lockFile(lock, { wait: false }) ? readRecord(layout, id) : undefined;
    if (record === undefined || !isWanted(record)) return undefined;
    isOurs = true;
    return { record, lock };
  } finally {
    if (!isOurs) closeSync(lock);
  }
}

/**
 * Makes this process a task's owner if `mayClaim` accepts the record. Of several claimers exactly one
 * succeeds. A claimer that is killed at any step leaves the record unchanged, or as its own; the task is then
 * abandoned and can be claimed again. Undefined and throws like `lockRecord`; also throws errors of the disk.
 *
 * @param change Changes in addition to the owner.
 */
export function claimRecord(
  context: ClaimContext,
  id: TaskId,
  mayClaim: (record: TaskRecord) => boolean,
  change: Partial<TaskRecord>,
): OwnRecord | undefined {
  const locked = lockRecord(context, id, mayClaim);
  if (locked === undefined) return undefined;
  return withFd(locked.lock, () => {
    const places = recordedPlaces(context.layout, locked.record);
    const claimed = { owner: ownIdentity(), kept: false, disowned: false };
    const record = { ...locked.record, ...change, ...claimed };
    replaceRecord(places, record);
    return new OwnRecord(places, record);
  });
}
