/** Slots: what a task borrows for its life. No two running tasks of the machine, whatever their installation, share one. */
import { closeSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../../core/host-ids.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import type { HeldNumber } from '../../sys/numbered-locks.ts';
import { ensureOwnFolder } from '../../sys/ownership.ts';
import type { Fd, System } from '../../sys/system.ts';
import { createUserNamespace, openPinnedUserNamespace } from '../../sys/user-namespace.ts';
import { adoptInBoth, claimInBoth } from './claim-task-number.ts';

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
