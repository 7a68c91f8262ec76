/** Starts programs that only this process waits for. */
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { exits } from './exits.ts';
import { linuxSystem } from './linux-system.ts';
import { posixSpawn, type SpawnRequest } from './posix-spawn.ts';
import type { ProcessExit } from './system.ts';

export interface StartedProgram {
  /** Resolves to the pid once the program runs; then the caller may close its copies of the descriptors. Rejects if the program could not be started. */
  readonly running: Promise<number>;
  /** Resolves to the program's exit. Rejects if the program could not be started. */
  readonly exited: Promise<ProcessExit>;
  /** Kills the program and what it started; does nothing once the program has ended. */
  killAll(): void;
}

/** Begins to start a program, as {@link posixSpawn} does. In the executable, the program has started when this function returns. */
export function startProgram(request: SpawnRequest): StartedProgram {
  let pid: number | undefined;
  let isWanted = true;
  let hasEnded = false;
  const killAll = () => {
    isWanted = false;
    if (pid !== undefined && !hasEnded) killGroup(pid);
  };
  const running = start(request).then((started) => {
    pid = started;
    if (!isWanted) killAll();
    return started;
  });
  const exited = running.then(waitFor);
  const end = () => {
    hasEnded = true;
  };
  // This also handles a rejection: callers that await `running` or `exited` get it, too.
  exited.then(end, end);
  return { running, exited, killAll };
}

/** Reserves a descriptor first: without a free descriptor for its pidfd, the program could not be waited for. */
async function start(request: SpawnRequest): Promise<number> {
  const reserved = linuxSystem.openPidfd(process.pid);
  try {
    return await posixSpawn(request);
  } finally {
    linuxSystem.close(reserved);
  }
}

const RETRY_MS = 100;
/** Other code took the last descriptor, or this user watches as many descriptors as it may. */
const SHORTAGES: readonly (string | undefined)[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

async function waitFor(pid: number): Promise<ProcessExit> {
  try {
    return await watch(pid);
  } catch (error) {
    if (!SHORTAGES.includes(errnoCodeOf(error))) throw error;
    return await lookForExit(pid);
  }
}

async function watch(pid: number): Promise<ProcessExit> {
  const pidfd = linuxSystem.openPidfd(pid);
  try {
    return await exits.wait(pidfd);
  } finally {
    linuxSystem.close(pidfd);
  }
}

/** Waits for an exit that cannot be watched. Needs no descriptor: the program remains a child until it is waited for. */
async function lookForExit(pid: number): Promise<ProcessExit> {
  for (;;) {
    const exit = linuxSystem.waitChild(pid);
    if (exit !== undefined) return exit;
    await pause(RETRY_MS);
  }
}

/** Kills a program that leads a process group, with its whole group. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (errnoCodeOf(error) !== 'ESRCH') throw error;
  }
}
