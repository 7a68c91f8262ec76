/**
 * Slots: what a task borrows for its life. No two running tasks of the machine, whatever their installation, share one:
 * a slot's lock file is locked by its holder, and names the task for as long as that may have something running.
 */
import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { isTaskId, type TaskId } from '../core/ids.ts';
import { type Layout, taskDir } from '../core/layout.ts';
import type { IdRange } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { bootId } from '../sys/processes.ts';
import type { Fd, System } from '../sys/system.ts';
import { openPinnedUserNamespace, pinUserNamespace } from '../sys/user-namespace.ts';

/** Above what systemd (up to 1879048191) and subuid files use. */
const FIRST_ID = 1_879_048_192;
const IDS_PER_SLOT = 65_536;
const SLOT_COUNT = 4_096;

export interface Slot {
  readonly index: number;
  readonly ids: IdRange;
  /** Carries the mapping of `ids`, for idmapped mounts. Open until the slot is released. */
  readonly userNamespaceFd: Fd;
  /** Gives the slot back: the task has nothing left that uses its ids. A second call does nothing. */
  release(): void;
}

/** Whom a slot's file names. */
interface SlotHolder {
  readonly bootId: string;
  readonly run: string;
  readonly task: TaskId;
}

/** Slots of this process: probing their locks would only waste system calls. */
const heldHere = new Set<number>();

export const slotIds = (index: number): IdRange => ({
  base: FIRST_ID + index * IDS_PER_SLOT,
  size: IDS_PER_SLOT,
});

/** Claims the lowest free slot for a task. Rejects with ERR_STACKSHIM_SLOTS_EXHAUSTED, ERR_STACKSHIM_HOST_UNSUPPORTED. */
export async function claimSlot(system: System, layout: Layout, task: TaskId): Promise<Slot> {
  ensureSlotsFolder(layout);
  for (let index = 0; index < SLOT_COUNT; index += 1) {
    if (heldHere.has(index)) continue;
    const lock = tryLock(system, layout, index);
    if (lock === undefined) continue;
    heldHere.add(index);
    try {
      writeHolder(lock, { bootId: bootId(), run: layout.run, task });
      return await openSlot(system, layout, index, lock);
    } catch (error) {
      freeLock(index, lock);
      throw error;
    }
  }
  throw new StackshimError(
    'ERR_STACKSHIM_SLOTS_EXHAUSTED',
    `claim slot: all ${SLOT_COUNT} are taken`,
  );
}

/** Its parent is open to every user of the host: one who was there first could name us namespaces and hold locks. */
function ensureSlotsFolder({ slots }: Layout): void {
  ensureDirectorySync(slots, 0o711);
  const stats = lstatSync(slots);
  const isOurs = stats.uid === 0 || stats.uid === process.geteuid?.();
  if (stats.isDirectory() && isOurs && (stats.mode & 0o022) === 0) return;
  throw new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `use folder ${slots}: others than root may write to it`,
    { hint: `remove ${slots}: it is made anew`, details: { path: slots } },
  );
}

const lockFile = (layout: Layout, index: number) => `${layout.slots}/${index}`;
const pinFile = (layout: Layout, index: number) => `${layout.slots}/${index}.userns`;

function openLockFile(layout: Layout, index: number): Fd {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  return openSync(lockFile(layout, index), flags, 0o600);
}

function tryLock(system: System, layout: Layout, index: number): Fd | undefined {
  const fd = openLockFile(layout, index);
  if (system.lockFile(fd, { wait: false }) && !isAbandoned(readHolder(fd))) return fd;
  closeSync(fd);
  return undefined;
}

/** The lock is free but the task it names was not removed yet: its processes may live on with these ids. */
function isAbandoned(holder: SlotHolder | undefined): boolean {
  if (holder === undefined || holder.bootId !== bootId()) return false;
  return existsSync(taskDir(holder, holder.task));
}

function readHolder(fd: Fd): SlotHolder | undefined {
  const [boot, task, run] = readFileSync(fd, 'utf8').split('\n');
  if (boot === undefined || task === undefined || run === undefined) return undefined;
  return isTaskId(task) ? { bootId: boot, task, run } : undefined;
}

function writeHolder(fd: Fd, holder: SlotHolder): void {
  ftruncateSync(fd, 0);
  writeSync(fd, `${holder.bootId}\n${holder.task}\n${holder.run}\n`, 0);
}

async function openSlot(system: System, layout: Layout, index: number, lock: Fd): Promise<Slot> {
  const ids = slotIds(index);
  const pin = pinFile(layout, index);
  const userNamespaceFd =
    openPinnedUserNamespace(pin) ?? (await pinUserNamespace(system, pin, ids));
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    closeSync(userNamespaceFd);
    ftruncateSync(lock, 0);
    freeLock(index, lock);
  };
  return { index, ids, userNamespaceFd, release };
}

function freeLock(index: number, lock: Fd): void {
  heldHere.delete(index);
  closeSync(lock);
}
