/** Slots: what a task borrows for its life. No two running tasks on the machine share a slot, whatever their installation. */
import { closeSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../../core/host-ids.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import type { HeldNumber } from '../../sys/numbered-locks.ts';
import { ensureOwnFolder } from '../../sys/own-folder.ts';
import type { Fd, System } from '../../sys/system.ts';
import { createUserNamespace, openPinnedUserNamespace } from '../../sys/user-namespace.ts';
import { adoptInBoth, claimInBoth } from './claim-task-number.ts';

/**
 * Slots from this number on create their user namespace for each task, in 5 to 10 ms. A pinned namespace is a mount on the host, and every
 * mount makes every later start of a container slower (measured: 12 µs each). Machines rarely run that many tasks at once.
 */
const PINNED_SLOTS = 256;

export interface Slot {
  readonly index: number;
  readonly ids: IdRange;
  /** Carries the mapping of `ids`, for idmapped mounts. Open until the slot is released. */
  readonly userNamespaceFd: Fd;
  /** Call it when nothing uses the slot's ids any more: the slot becomes free. A second call does nothing. */
  release(): void;
  /**
   * Call it instead of `release` while something of the task is left: closes only this process's descriptors. The slot becomes free when the
   * rest is removed.
   */
  close(): void;
}

export interface SlotRequest {
  readonly task: TaskId;
  /** How many slots the policy allows on this machine. Default: all. */
  readonly slots?: number | undefined;
}

export const slotIds = (index: number): IdRange => ({
  base: FIRST_SLOT_ID + index * IDS_PER_SLOT,
  size: IDS_PER_SLOT,
});

/** Claims a free slot with a low number for a task. Rejects with ERR_STACKSHIM_SLOTS_EXHAUSTED, ERR_STACKSHIM_HOST_UNSUPPORTED. */
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

/** Takes over the slot that another process claimed for the task and closed. Rejects with ERR_STACKSHIM_SYSTEM if the task has no such slot. */
export async function adoptSlot(
  system: System,
  layout: Layout,
  { task, index }: { readonly task: TaskId; readonly index: number },
): Promise<Slot> {
  const { slots: folder, olderSlots: older, run } = layout;
  const held = adoptInBoth(system, index, { folder, older, run, task });
  if (held === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_SYSTEM',
      `adopt slot ${index}: task ${task} does not hold it`,
    );
  }
  try {
    return await openSlot(system, layout, held);
  } catch (error) {
    held.close();
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
  const { release, close } = held;
  return {
    index,
    ids,
    userNamespaceFd,
    release: () => end(release),
    close: () => end(close),
  };
}
