/**
 * Slots, and the numbers that tasks hold. No two running tasks of the machine share a slot, whatever their installations. If the shim of a
 * task dies, its number becomes free only when the task is removed.
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
 * Slots from this number on create their user namespace for each task, in 5 to 10 ms. A pinned namespace is a mount on the host, and every
 * mount makes every later start of a container slower (measured: 12 µs each). Machines rarely run that many tasks at once.
 */
const PINNED_SLOTS = 256;

/** Whoever looks for a free slot holds the lock of each for some microseconds. */
const ADOPT_TRIES = 20;
const ADOPT_PAUSE_MS = 5;

/**
 * Release it when nothing uses its ids any more: the slot becomes free. While something of the task is left, close it instead: the slot becomes
 * free when the rest is removed.
 */
export interface Slot extends Pick<HeldNumber, 'release' | 'close'> {
  readonly index: number;
  readonly ids: IdRange;
  /** Carries the mapping of `ids`, for idmapped mounts. Open until the slot is released. */
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

/** Takes over the slot that another process claimed for the task and closed. Rejects with ERR_STACKSHIM_SYSTEM if the task has no such slot. */
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

/** Like {@link claimTaskNumber}, but claims the number also in the folder `older`, if that is given and only this user may write to it. */
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
 * Claims the number that another process claimed for the task and closed; also in the folder of older versions, if it was claimed there.
 * Undefined if the task does not hold the number, or if another process still does.
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

/** Whether a task holds the number of this file, with a living or a dead owner. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** Whether the named task still exists although its lock is free: its processes may still run. */
export function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
