/**
 * Slots, what a task borrows for its life: no two running tasks of the machine, whatever their installation, share one. And the numbers that tasks hold, as those
 * of slots are: that of a task whose shim died is not free before the task is removed.
 */
import { closeSync, existsSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../../core/host-ids.ts';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { type Layout, taskDir } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import { claimNumber, claimThisNumber, type HeldNumber, isHeld } from '../../sys/numbered-locks.ts';
import { bootId } from '../../sys/processes.ts';
import type { Fd, System } from '../../sys/system.ts';
import { ensureOwnFolder, isOwnFolder } from '../../sys/trusted-path.ts';
import { createUserNamespace, openPinnedUserNamespace } from '../../sys/user-namespace.ts';

/**
 * Slots from this one on make their user namespace anew for each task, in 5 to 10 ms: a pinned one is a mount of the host's, and
 * every mount makes every later start of a container slower (measured: 12 µs each). As a rule no machine runs that many tasks at once.
 */
const PINNED_SLOTS = 256;

export interface Slot {
  readonly index: number;
  readonly ids: IdRange;
  /** Carries the mapping of `ids`, for idmapped mounts. Open until the slot is released. */
  readonly userNamespaceFd: Fd;
  /** Gives the slot back: the task has nothing left that uses its ids. A second call does nothing. */
  release(): void;
  /** In place of `release`, while something of the task is left: gives up only what this process has open. It is free once that is removed. */
  abandon(): void;
}

export interface SlotRequest {
  readonly task: TaskId;
  /** How many slots the policy lets this machine use; absent: all there are. */
  readonly slots?: number | undefined;
}

export const slotIds = (index: number): IdRange => ({
  base: FIRST_SLOT_ID + index * IDS_PER_SLOT,
  size: IDS_PER_SLOT,
});

/** Claims a free slot for a task, one of the lowest. Rejects with ERR_STACKSHIM_SLOTS_EXHAUSTED, ERR_STACKSHIM_HOST_UNSUPPORTED. */
export async function claimSlot(
  system: System,
  layout: Layout,
  { task, slots = SLOT_COUNT }: SlotRequest,
): Promise<Slot> {
  ensureOwnFolder(layout.slots);
  const count = Math.min(slots, SLOT_COUNT);
  const request = { folder: layout.slots, count, run: layout.run, task };
  const held = claimInBoth(system, request, layout.olderSlots);
  if (held === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_SLOTS_EXHAUSTED',
      `claim slot: all ${count} slots are taken`,
      { details: { slots: count } },
    );
  }
  try {
    return await openSlot(system, layout, held);
  } catch (error) {
    held.release();
    throw error;
  }
}

/** The slot that another process has claimed for the task, and abandoned. Rejects with ERR_STACKSHIM_SYSTEM when that is not so. */
export async function adoptSlot(
  system: System,
  layout: Layout,
  { task, index }: { readonly task: TaskId; readonly index: number },
): Promise<Slot> {
  const { slots: folder, olderSlots: older, run } = layout;
  const held = adoptInBoth(system, index, { folder, older, run, task });
  if (held === undefined) {
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', `adopt slot ${index}: not of task ${task}`);
  }
  try {
    return await openSlot(system, layout, held);
  } catch (error) {
    held.abandon();
    throw error;
  }
}

async function openUserNamespace(system: System, layout: Layout, index: number): Promise<Fd> {
  const ids = slotIds(index);
  if (index >= PINNED_SLOTS) return await createUserNamespace(system, ids);
  const pin = pinFile(layout, index);
  return openPinnedUserNamespace(pin) ?? (await createUserNamespace(system, ids, pin));
}

const pinFile = (layout: Layout, index: number) => `${layout.slots}/${index}.userns`;

async function openSlot(system: System, layout: Layout, held: HeldNumber): Promise<Slot> {
  const index = held.number;
  const ids = slotIds(index);
  const userNamespaceFd = await openUserNamespace(system, layout, index);
  let isOpen = true;
  const end = (ending: () => void) => {
    if (isOpen) closeSync(userNamespaceFd);
    isOpen = false;
    ending();
  };
  const { release, abandon } = held;
  return {
    index,
    ids,
    userNamespaceFd,
    release: () => end(release),
    abandon: () => end(abandon),
  };
}

export interface TaskNumberRequest {
  /** Exists, and nobody but us may write to it. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  readonly run: string;
  readonly task: TaskId;
}

/** Claims a number for a task as {@link claimNumber} does. Once `abandon` was called it is free when the task is removed. */
export const claimTaskNumber = (
  system: System,
  request: TaskNumberRequest,
): HeldNumber | undefined => claimNumber(system, { ...request, ...toClaim(request) });

/**
 * The same for a number that is free in the folder `older` as well, where one is given that nobody but us may write to: it is held in
 * both.
 */
function claimInBoth(
  system: System,
  request: TaskNumberRequest,
  older: string | undefined,
): HeldNumber | undefined {
  if (older === undefined || !isOwnFolder(older)) return claimTaskNumber(system, request);
  const aside: HeldNumber[] = [];
  try {
    for (;;) {
      const held = claimTaskNumber(system, request);
      if (held === undefined) return undefined;
      aside.push(held);
      const other = claimThisNumber(system, held.number, { folder: older, ...toClaim(request) });
      if (other === undefined) continue;
      aside.pop();
      return joined(held, other);
    }
  } finally {
    for (const held of aside) held.release();
  }
}

const joined = (held: HeldNumber, other: HeldNumber): HeldNumber => ({
  ...held,
  release() {
    other.release();
    held.release();
  },
  abandon() {
    other.abandon();
    held.abandon();
  },
});

/**
 * Claims the number that another process has claimed for the task and abandoned, in the folder `older` as well where it was. Undefined when
 * the task does not hold it, or a process still does.
 */
function adoptInBoth(
  system: System,
  number: number,
  { folder, older, ...of }: AdoptRequest,
): HeldNumber | undefined {
  const { holder } = toClaim(of);
  const claim = { holder, isTaken: (found: string) => found !== holder };
  const held = claimThisNumber(system, number, { folder, ...claim });
  if (held === undefined || older === undefined || !isOwnFolder(older)) return held;
  const other = claimThisNumber(system, number, { folder: older, ...claim });
  if (other !== undefined) return joined(held, other);
  held.abandon();
  return undefined;
}

interface AdoptRequest extends Omit<TaskNumberRequest, 'count'> {
  readonly older: string | undefined;
}

const toClaim = ({ task, run }: Pick<TaskNumberRequest, 'task' | 'run'>) => ({
  holder: `${bootId()}\n${task}\n${run}\n`,
  isTaken,
});

/** Whether a task holds the number of this file, be its owner alive or dead. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** The lock is free but the task it names was not removed yet: its processes may live on. */
function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
