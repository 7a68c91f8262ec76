/**
 * Answers questions about a process from its pidfd, without ever waiting. Reads of /proc entries can wait on a task: while the process is in
 * exec(2) or holds its memory map, until a filesystem of the task answers.
 */
import { readFileSync, statSync } from 'node:fs';
import { errnoCodeOf, unlessFailed } from '../core/errors.ts';
import { FIRST_SLOT_ID, IDS_PER_SLOT, SLOT_COUNT } from '../core/host-ids.ts';
import { linuxFiles } from './linux-files.ts';
import { linuxProcesses } from './linux-processes.ts';
import type { Fd } from './system.ts';

/** Whether a process runs. A zombie does not run. */
export const isRunning = (pid: number): boolean =>
  withHandle(pid, (pidfd) => !linuxProcesses.hasEnded(pidfd)) ?? false;

/** The pid of a process in its innermost pid namespace; undefined if there is no such process. */
export const nsPidOf = (pid: number): number | undefined => nsPidsOf(pid)?.at(-1);

/** The process's pids in each pid namespace, from that of /proc inwards. */
function nsPidsOf(pid: number): readonly number[] | undefined {
  return withHandle(pid, (pidfd) => {
    const info = readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8');
    return /^NSpid:\t(.*)$/m.exec(info)?.[1]?.split('\t').map(Number);
  });
}

/** The effective user id of a process; undefined if there is no such process. */
export function userOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    if (errnoCodeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** The slot that a user id belongs to; undefined for an id of the host. */
export function slotOfUser(uid: number): number | undefined {
  const index = Math.floor((uid - FIRST_SLOT_ID) / IDS_PER_SLOT);
  return index >= 0 && index < SLOT_COUNT ? index : undefined;
}

/** Whether a process can be a program of the host: its ids are not a slot's, and its pid namespace is the host's. */
export function isOfHost(pid: number): boolean {
  const uid = userOf(pid);
  return uid !== undefined && slotOfUser(uid) === undefined && nsPidsOf(pid)?.length === 1;
}

/** Calls `ask` with a pidfd; undefined if there is no such process. */
function withHandle<T>(pid: number, ask: (pidfd: Fd) => T): T | undefined {
  // EINVAL: the pid belongs to a thread, not to a process.
  const pidfd = unlessFailed(() => linuxProcesses.openPidfd(pid), ['ESRCH', 'EINVAL', 'ENOENT']);
  if (pidfd === undefined) return undefined;
  try {
    return ask(pidfd);
  } finally {
    linuxFiles.close(pidfd);
  }
}
