/**
 * The duty of a subreaper: processes that lost their parent become children of this one, and nobody else waits for them.
 * Whoever started a child waits for it at once when it ends; a zombie that is still there a second later is nobody's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { readProcess } from './processes.ts';
import { type System, SystemError } from './system.ts';

const LOOK_INTERVAL_MS = 1_000;

let started = false;

/** Begins to look once a second, without keeping the process alive. A second call does nothing. */
export function startOrphanReaper(system: System): void {
  if (started) return;
  started = true;
  let seen: ReadonlySet<string> = new Set();
  const look = () => {
    seen = reapSeen(system, seen);
  };
  setInterval(look, LOOK_INTERVAL_MS).unref();
}

/** Reaps the zombies among our children that `seen` names; returns all that there were. Exported for its test. */
export function reapSeen(system: System, seen: ReadonlySet<string>): ReadonlySet<string> {
  const zombies = new Set<string>();
  for (const pid of ownChildren()) {
    const found = readProcess(pid);
    if (found?.state !== 'Z') continue;
    const name = `${pid}-${found.startTime}`;
    zombies.add(name);
    if (seen.has(name)) reap(system, pid);
  }
  return zombies;
}

function reap(system: System, pid: number): void {
  try {
    const pidfd = system.openPidfd(pid);
    try {
      system.waitPidfd(pidfd);
    } finally {
      system.close(pidfd);
    }
  } catch (error) {
    // Its owner has waited for it meanwhile.
    if (!(error instanceof SystemError && ['ESRCH', 'ECHILD'].includes(error.code))) throw error;
  }
}

/** Children of any thread; empty on a kernel without CONFIG_PROC_CHILDREN. */
function ownChildren(): readonly number[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      const text = readFileSync(`/proc/self/task/${thread}/children`, 'utf8');
      return text.split(' ').filter(Boolean).map(Number);
    } catch (error) {
      if (errnoCodeOf(error) === 'ENOENT' || errnoCodeOf(error) === 'ESRCH') return [];
      throw error;
    }
  });
}
