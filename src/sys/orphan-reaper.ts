/**
 * Reaps orphans, as a subreaper must: processes that lost their parent become children of this process, and nobody else waits for them. Code that
 * started a child waits for it as soon as the event loop reports its end. So a child that is waitable at two looks, a second and at least two
 * turns of the event loop apart, is an orphan.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { unlessFailed } from '../core/errors.ts';
import { withSystemFd } from './paths.ts';
import { isMainThread, readProcess } from './processes.ts';
import { type System, SystemError } from './system.ts';

const LOOK_INTERVAL_MS = 1_000;
/** A minute, because a worker thread looks at the main thread's children but cannot tell whether that thread was delayed. */
const WORKER_LOOK_INTERVAL_MS = 60_000;
/** A process with an open pidfd here has a waiter. After this many looks it is reaped anyway: its waiter's thread must have ended. */
const LOOKS_WHILE_WATCHED = 60;
/** A look this late means that the event loop was delayed, and with it everybody who waits for a child. */
const LATE_MS = 100;

let started = false;

/** Starts looking once a second, without keeping the process alive. A second call does nothing. */
export function startOrphanReaper(system: System): void {
  if (started) return;
  started = true;
  let seen: SeenOrphans = new Map();
  const intervalMs = isMainThread() ? LOOK_INTERVAL_MS : WORKER_LOOK_INTERVAL_MS;
  let dueAt = performance.now() + intervalMs;
  const look = () => {
    try {
      seen = reapSeen(system, seen);
    } catch {
      // Running out of descriptors must not end the process; the next look retries.
      seen = new Map();
    }
  };
  const onTime = () => {
    const now = performance.now();
    if (now - dueAt > LATE_MS) seen = new Map();
    dueAt = now + intervalMs;
    // Two turns of the event loop later, the loop has reported every child that has ended.
    setImmediate(() => setImmediate(look));
  };
  setInterval(onTime, intervalMs).unref();
}

/** How many looks in a row found a process waitable, by process name. */
export type SeenOrphans = ReadonlyMap<string, number>;

/**
 * Reaps the children that were waitable when `seen` was returned and still are; returns all waitable children. The state "zombie" is not enough:
 * a process whose first thread has ended is a zombie while other threads run, and reaping would take its exit from its owner the moment it ends.
 * Exported for its test.
 */
export function reapSeen(system: System, seen: SeenOrphans): SeenOrphans {
  const waitable = new Map<string, number>();
  for (const pid of ownChildren()) {
    if (!system.isWaitable(pid)) continue;
    const name = nameOf(pid);
    if (name === undefined) continue;
    const looks = (seen.get(name) ?? 0) + 1;
    waitable.set(name, looks);
    if (looks > LOOKS_WHILE_WATCHED || (looks > 1 && !watchedPids().has(pid))) {
      reap(system, pid, name);
    }
  }
  return waitable;
}

/** Pid and start time of a process; undefined if it is gone. */
function nameOf(pid: number): string | undefined {
  const found = readProcess(pid);
  return found === undefined ? undefined : `${pid}-${found.startTime}`;
}

/** Pids that any thread of this process has a pidfd of: somebody waits for them. */
function watchedPids(): ReadonlySet<number> {
  const pids = readdirSync('/proc/self/fdinfo').map((fd) => {
    const info = readOptional(`/proc/self/fdinfo/${fd}`);
    return Number(/^Pid:\t(\d+)$/m.exec(info)?.[1]);
  });
  return new Set(pids.filter((pid) => pid > 0));
}

function reap(system: System, pid: number, name: string): void {
  try {
    withSystemFd(system, system.openPidfd(pid), (pidfd) => {
      // The owner may have reaped the child meanwhile, and another child may have its pid.
      if (nameOf(pid) === name) system.waitPidfd(pidfd);
    });
  } catch (error) {
    // The owner has reaped the child meanwhile.
    if (!(error instanceof SystemError && ['ESRCH', 'ECHILD'].includes(error.code))) throw error;
  }
}

/** Children of the main thread, which also gets the orphans; other threads' children are their own. Empty without CONFIG_PROC_CHILDREN. */
function ownChildren(): readonly number[] {
  const text = readOptional(`/proc/self/task/${process.pid}/children`);
  return text.split(' ').filter(Boolean).map(Number);
}

function readOptional(path: string): string {
  return unlessFailed(() => readFileSync(path, 'utf8'), ['ENOENT', 'ESRCH']) ?? '';
}
