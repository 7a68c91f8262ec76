/**
 * The duty of a subreaper: processes that lost their parent become children of this one, and nobody else waits for them.
 * Whoever started a child waits for it as soon as the event loop tells of its end. One that could be waited for at two looks, a second
 * and at least two turns of the loop apart, is nobody's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { isMainThread, readProcess } from './processes.ts';
import { type System, SystemError } from './system.ts';

const LOOK_INTERVAL_MS = 1_000;
/** A worker thread cannot tell whether the main thread, whose children it looks at, has been held up: it gives it a minute. */
const WORKER_LOOK_INTERVAL_MS = 60_000;
/** A process that someone here has a pidfd of is waited for, unless all these looks found that nobody did: then its thread has ended. */
const LOOKS_WHILE_WATCHED = 60;
/** Later than that: the event loop was held up, and with it everybody who waits for a child. */
const LATE_MS = 100;

let started = false;

/** Begins to look once a second, without keeping the process alive. A second call does nothing. */
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
    // Two turns of the loop later: by then it has told everybody of children that have ended.
    setImmediate(() => setImmediate(look));
  };
  setInterval(onTime, intervalMs).unref();
}

/** By the name of a process: how many looks in a row found that it could be waited for. */
export type SeenOrphans = ReadonlyMap<string, number>;

/**
 * Reaps those of our children that could be waited for before, when `seen` was returned, and still can be; returns all that can be.
 * A zombie alone says nothing: a process whose first thread has left is one for as long as its other threads run, and its exit would
 * be taken from its owner the moment it ends. Exported for its test.
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

/** Undefined when it is gone. */
function nameOf(pid: number): string | undefined {
  const found = readProcess(pid);
  return found === undefined ? undefined : `${pid}-${found.startTime}`;
}

/** Processes that someone in this process, in whatever thread, has a pidfd of: they are waited for. */
function watchedPids(): ReadonlySet<number> {
  const pids = readdirSync('/proc/self/fdinfo').map((fd) => {
    const info = readOptional(`/proc/self/fdinfo/${fd}`);
    return Number(/^Pid:\t(\d+)$/m.exec(info)?.[1]);
  });
  return new Set(pids.filter((pid) => pid > 0));
}

function reap(system: System, pid: number, name: string): void {
  try {
    const pidfd = system.openPidfd(pid);
    try {
      // Its owner may have waited for it meanwhile, and another child may have got its pid.
      if (nameOf(pid) === name) system.waitPidfd(pidfd);
    } finally {
      system.close(pidfd);
    }
  } catch (error) {
    // Its owner has waited for it meanwhile.
    if (!(error instanceof SystemError && ['ESRCH', 'ECHILD'].includes(error.code))) throw error;
  }
}

/**
 * Children of the main thread, to which the kernel gives orphans; those of other threads were started by them.
 * Empty on a kernel without CONFIG_PROC_CHILDREN.
 */
function ownChildren(): readonly number[] {
  const text = readOptional(`/proc/self/task/${process.pid}/children`);
  return text.split(' ').filter(Boolean).map(Number);
}

function readOptional(path: string): string {
  return unlessMissing(() => readFileSync(path, 'utf8'), ['ENOENT', 'ESRCH']) ?? '';
}
