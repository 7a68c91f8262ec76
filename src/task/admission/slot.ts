/**
 * Slots, and the numbers that tasks hold. No two running tasks on a machine share a slot, whatever their
 * installations. If a task's owner dies, the task's number becomes free only when the task is removed.
 */
import { closeSync, existsSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../../core/host-ids.ts';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { type Layout, taskDir } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import { pause } from '../../core/pause.ts';
import {
  claimNumber,
  claimThisNumber,
  type HeldNumber,
  isHeld,
  type NumberRequest,
} from '../../sys/numbered-locks.ts';
import { bootId } from '../../sys/processes.ts';
import type { Fd, System } from '../../sys/system.ts';
import { ensureOwnFolder, isOwnFolder } from '../../sys/trusted-path.ts';
import { createUserNamespace, openPinnedUserNamespace } from '../../sys/user-namespace.ts';

/**
 * Slots from this number on create a user namespace per task, which takes 5 to 10 ms. A pinned namespace is a mount on the
 * host, and each mount slows every later container start (measured: 12 µs each). Machines rarely run that many tasks at once.
 */
const PINNED_SLOTS = 256;

/** A process that looks for a free slot locks each slot for a few microseconds, so an adoption may have to retry. */
const ADOPT_TRIES = 20;
const ADOPT_PAUSE_MS = 5;

/**
 * A slot that a task holds. `release`, once nothing uses its ids, frees the slot. `close`, while
 * something of the task is left, only closes it here: the removal of the rest frees the slot.
 */
export interface Slot extends Pick<HeldNumber, 'release' | 'close'> {
  readonly index: number;
  readonly ids: IdRange;
  /** A user namespace with the mapping of `ids`, for idmapped mounts. Open until `release` or `close`. */
  readonly userNamespaceFd: Fd;
}

export const slotIds = (index: number): IdRange => ({
  base: FIRST_SLOT_ID + index * IDS_PER_SLOT,
  size: IDS_PER_SLOT,
});

/**
 * Claims a free slot with a low number for a task. Rejects with ERR_STACKSHIM_SLOTS_EXHAUSTED, ERR_STACKSHIM_HOST_UNSUPPORTED.
 *
 * @param slots How many slots the policy allows on this machine.
 */
export async function claimSlot(
  system: System,
  layout: Layout,
  task: TaskId,
  slots = SLOT_COUNT,
): Promise<Slot> {
  ensureOwnFolder(layout.slots);
  const count = Math.min(slots, SLOT_COUNT);
  const request = { folder: layout.slots, count, run: layout.run, task };
  const held = claimInBoth(system, request, layout.olderSlots);
  if (held === undefined) {
    const message = `claim slot: all ${count} slots are taken`;
    const details = { slots: count };
    throw new StackshimError('ERR_STACKSHIM_SLOTS_EXHAUSTED', message, { details });
  }
  try {
    return await openSlot(system, layout, held);
  } catch (error) {
    held.release();
    throw error;
  }
}

/** Takes over a slot that another process claimed for the task and closed. Rejects with ERR_STACKSHIM_SYSTEM if the task does not hold it. */
export async function adoptSlot(
  system: System,
  layout: Layout,
  task: TaskId,
  index: number,
): Promise<Slot> {
  let held = adoptInBoth(system, layout, task, index);
  for (let tries = 0; held === undefined && tries < ADOPT_TRIES; tries += 1) {
    await pause(ADOPT_PAUSE_MS);
    held = adoptInBoth(system, layout, task, index);
  }
  if (held === undefined) {
    const message = `adopt slot ${index}: task ${task} does not hold it`;
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', message);
  }
  try {
    return await openSlot(system, layout, held);
  } catch (error) {
    held.close();
    throw error;
  }
}

export const pinFile = (layout: Pick<Layout, 'slots'>, index: number) =>
  `${layout.slots}/${index}.userns`;

async function openSlot(system: System, layout: Layout, held: HeldNumber): Promise<Slot> {
  const index = held.number;
  const ids = slotIds(index);
  const pin = index < PINNED_SLOTS ? pinFile(layout, index) : undefined;
  const pinned = pin === undefined ? undefined : openPinnedUserNamespace(pin);
  const userNamespaceFd = pinned ?? (await createUserNamespace(system, ids, pin));
  let isOpen = true;
  const end = (ending: () => void) => {
    if (isOpen) closeSync(userNamespaceFd);
    isOpen = false;
    ending();
  };
  const { release, close } = held;
  return { index, ids, userNamespaceFd, release: () => end(release), close: () => end(close) };
}

export interface TaskNumberRequest extends Pick<NumberRequest, 'folder' | 'count'> {
  readonly run: string;
  readonly task: TaskId;
}

/** Claims a number for a task, like {@link claimNumber}. After `close`, the number becomes free when the task is removed. */
export const claimTaskNumber = (
  system: System,
  request: TaskNumberRequest,
): HeldNumber | undefined => claimNumber(system, { ...request, ...toClaim(request) });

/** Like {@link claimTaskNumber}; also claims the number in the folder `older`, if given and writable only by this user. */
function claimInBoth(
  system: System,
  request: TaskNumberRequest,
  older: string | undefined,
): HeldNumber | undefined {
  if (older === undefined || !isOwnFolder(older)) return claimTaskNumber(system, request);
  const skipped: HeldNumber[] = [];
  try {
    for (;;) {
      const held = claimTaskNumber(system, request);
      if (held === undefined) return undefined;
      skipped.push(held);
      const other = claimThisNumber(system, held.number, { folder: older, ...toClaim(request) });
      if (other === undefined) continue;
      skipped.pop();
      return joined(held, other);
    }
  } finally {
    for (const held of skipped) held.release();
  }
}

const joined = (held: HeldNumber, other: HeldNumber): HeldNumber => ({
  ...held,
  release() {
    other.release();
    held.release();
  },
  close() {
    other.close();
    held.close();
  },
});

/**
 * Claims a number that another process claimed for the task and closed; also in the older versions' folder, if the
 * task claimed it there. Undefined if the task does not hold the number, or another process still has it open.
 */
function adoptInBoth(
  system: System,
  { slots, olderSlots: older, run }: Layout,
  task: TaskId,
  number: number,
): HeldNumber | undefined {
  const { holder } = toClaim({ task, run });
  const claim = { holder, isTaken: (found: string) => found !== holder };
  const held = claimThisNumber(system, number, { folder: slots, ...claim });
  if (held === undefined || older === undefined || !isOwnFolder(older)) return held;
  const other = claimThisNumber(system, number, { folder: older, ...claim });
  if (other !== undefined) return joined(held, other);
  held.close();
  return undefined;
}

const toClaim = ({ task, run }: Pick<TaskNumberRequest, 'task' | 'run'>) => ({
  holder: `${bootId()}\n${task}\n${run}\n`,
  isTaken,
});

/** Whether a task holds this number file, whether its owner is alive or dead. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** Whether the named task still exists, so that its processes may still run although its lock is free. */
export function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
