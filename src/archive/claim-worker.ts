/** Claims ids of the host for workers, programs that read hostile input: no other process on the machine has a running worker's id. */
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { FIRST_WORKER_ID, WORKER_ID_COUNT } from '../core/host-ids.ts';
import type { Layout } from '../core/layout.ts';
import { pause } from '../core/pause.ts';
import { findProgram } from '../sys/find-program.ts';
import { claimNumber, type HeldNumber } from '../sys/numbered-locks.ts';
import { bootId } from '../sys/processes.ts';
import { runProgram } from '../sys/run-program.ts';
import { PLAIN_ENVIRONMENT } from '../sys/start-program.ts';
import type { System } from '../sys/system.ts';
import { ensureOwnFolder } from '../sys/trusted-path.ts';

/** Where to claim ids. */
export interface WorkerHost {
  readonly system: System;
  readonly layout: Pick<Layout, 'slots'>;
}

export interface Worker {
  /** User and group id of the host; undefined if this process is not root: the program then runs as its user. */
  readonly id: number | undefined;
  /**
   * Ends all processes that have the id, and releases the id. Call it when the program has ended, because processes that it started may still
   * live. Throws ERR_STACKSHIM_SYSTEM if a process cannot be ended, or that cannot be determined; the id's next claimer first ends its processes.
   */
  end(): Promise<void>;
}

const NOBODY: Worker = { id: undefined, end: () => Promise.resolve() };
/** How long to wait: a killed process keeps its id until its parent has reaped it. */
const TRIES = 100;
const PAUSE_MS = 20;

/** Claims a free id. Throws ERR_STACKSHIM_HOST_UNSUPPORTED or ERR_STACKSHIM_SYSTEM. */
export async function claimWorker({ system, layout }: WorkerHost): Promise<Worker> {
  if (process.geteuid?.() !== 0) return NOBODY;
  const folder = `${layout.slots}/workers`;
  ensureOwnFolder(layout.slots);
  ensureOwnFolder(folder);
  const holder = `${bootId()}\n`;
  const request = { folder, count: WORKER_ID_COUNT, holder, isTaken: () => false };
  const inUse: HeldNumber[] = [];
  try {
    for (;;) {
      const held = claimNumber(system, request);
      if (held === undefined) {
        const message = `claim a user id for a program: all ${WORKER_ID_COUNT} ids are taken`;
        throw new StackshimError('ERR_STACKSHIM_SYSTEM', message);
      }
      const id = FIRST_WORKER_ID + held.number;
      // The id's last holder may have died before it ended its program's processes.
      let isFree = held.previous !== holder;
      try {
        isFree ||= await endProcesses(id);
      } finally {
        if (!isFree) inUse.push(held);
      }
      if (isFree) return toWorker(id, held);
    }
  } finally {
    for (const held of inUse) held.close();
  }
}

const toWorker = (id: number, held: HeldNumber): Worker => ({
  id,
  async end() {
    let isFree = false;
    try {
      isFree = await endProcesses(id);
    } finally {
      if (isFree) held.release();
      else held.close();
    }
    if (isFree) return;
    const message = `end the processes of user ${id}: some still run`;
    const hint = `find them with pgrep -U ${id}`;
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, { hint, details: { id } });
  },
});

/** A command prefix that runs a program under a worker's id with no way back, and kills it when the process that started it dies. */
export function toUnprivileged({ id }: Pick<Worker, 'id'>): readonly string[] {
  const ids = id === undefined ? [] : [`--reuid=${id}`, `--regid=${id}`, '--clear-groups'];
  return [findUtility('setpriv'), ...ids, '--no-new-privs', '--pdeathsig', 'KILL', '--'];
}

/** @param limits As for prlimit(1). */
export const toLimited = (...limits: readonly string[]): readonly string[] => [
  findUtility('prlimit'),
  ...limits,
];

const findUtility = (name: string) => findProgram(name, { package: 'util-linux' });

/** Kills all processes that have the id; resolves to whether none is left. Only root can start another one. */
async function endProcesses(id: number): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (await isUnused(id)) return true;
    await runQuietly([...toUnprivileged({ id }), '/bin/sh', '-c', 'kill -KILL -1']);
    await pause(PAUSE_MS);
  }
  return false;
}

/**
 * Asks the kernel, which counts each user's processes: above the limit, execve(2) fails with EAGAIN. This process is not counted when it takes
 * the id. Reading /proc instead would miss a process that keeps forking.
 */
async function isUnused(id: number): Promise<boolean> {
  const asking = [...toLimited('--nproc=0'), ...toUnprivileged({ id })];
  return (await runQuietly([...asking, '/bin/true'])) === 0;
}

async function runQuietly([path = '', ...args]: readonly string[]): Promise<number | null> {
  try {
    return (await runProgram({ path, args, env: PLAIN_ENVIRONMENT })).exitCode;
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `run ${path}`);
  }
}
