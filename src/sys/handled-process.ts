/**
 * Answers questions about a process from its pidfd. A task can make reads of its /proc entries wait: while a process is in exec(2) or holds
 * its memory map, a read waits as long as a filesystem of the task does not answer. None of the calls here can wait.
 */
import { readFileSync, statSync } from 'node:fs';
import { errnoCodeOf, unlessMissing } from '../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../core/host-ids.ts';
import { linuxFiles } from './linux-files.ts';
import { linuxProcesses } from './linux-processes.ts';
import type { Fd } from './system.ts';

/** Whether a process runs. A zombie does not run. */
export const isRunning = (pid: number): boolean =>
  withHandle(pid, (pidfd) => !linuxProcesses.hasEnded(pidfd)) ?? false;

/** The pid that a process has in its innermost pid namespace; undefined when there is no such process. */
export const nsPidOf = (pid: number): number | undefined => nsPidsOf(pid)?.at(-1);

/** The process's pids, one for each pid namespace, from that of /proc inwards. */
function nsPidsOf(pid: number): readonly number[] | undefined {
  return withHandle(pid, (pidfd) => {
    const info = readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8');
    return /^NSpid:\t(.*)$/m.exec(info)?.[1]?.split('\t').map(Number);
  });
}

/** The effective user id of a process; undefined when there is no such process. */
export function userOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    if (errnoCodeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** The number of the slot that a user id belongs to; undefined for an id of the host. */
export function slotOfUser(uid: number): number | undefined {
  const index = Math.floor((uid - FIRST_SLOT_ID) / IDS_PER_SLOT);
  return index >= 0 && index < SLOT_COUNT ? index : undefined;
}

/** Whether a process can be a program of the host: its ids are not those of a slot, and it is in the pid namespace of the host. */
export function isOfHost(pid: number): boolean {
  const uid = userOf(pid);
  return uid !== undefined && slotOfUser(uid) === undefined && nsPidsOf(pid)?.length === 1;
}

/** Calls `ask` with a pidfd; undefined when there is no such process. */
function withHandle<T>(pid: number, ask: (pidfd: Fd) => T): T | undefined {
  // EINVAL: the pid is that of a thread, not of a process.
  const pidfd = unlessMissing(() => linuxProcesses.openPidfd(pid), ['ESRCH', 'EINVAL', 'ENOENT']);
  if (pidfd === undefined) return undefined;
  try {
    return ask(pidfd);
  } finally {
    linuxFiles.close(pidfd);
  }
}
