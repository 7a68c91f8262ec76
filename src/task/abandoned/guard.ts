/** A guard for library users: a process beside this one that removes its tasks as soon as it has died. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { type Owner, ownProcess } from '../../sys/processes.ts';
import { type StartedTool, startTool } from '../../sys/start-tool.ts';
import type { Installation } from '../installation.ts';
import { DISMISSAL } from './guard-words.ts';

/** A process that waits for the death of this one. */
export interface Guard {
  readonly pid: number;
  /** Resolves when the guard has ended: after `close`, or because something killed it. Then start another one. */
  readonly ended: Promise<void>;
  /** Ends the guard: tasks that run have none any more. A second call does nothing. */
  close(): Promise<void>;
}

/** What a guard is told when it starts. */
export interface GuardOrder {
  readonly layout: Layout;
  /** A process with all its threads. */
  readonly owner: Owner;
}

/**
 * Starts a guard of this process's tasks in one installation, those included that run already. It has a session of its own and reads
 * from a pipe that only this process can write to: the kernel closes it when this process dies, however it does. Then the guard ends
 * and removes the tasks. Tasks of a worker thread that has ended are removed within a second, too. It does not keep the event loop alive and costs nothing per task; one for a process is enough, whatever
 * threads it has. Resolves once the guard is ready; rejects with ERR_STACKSHIM_SYSTEM when it cannot be started.
 */
export async function startGuard(installation: Installation): Promise<Guard> {
  const guard = await startProcess({ layout: installation.layout, owner: ownProcess() });
  try {
    const ready = once(guard.stdout, 'data');
    guard.stdout.resume();
    await Promise.race([ready, failWhenEnded(guard)]);
  } catch (error) {
    guard.killAll();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start guard');
  }
  guard.keepAlive(false);
  const ended = guard.exited.then(() => undefined);
  return {
    pid: guard.pid,
    ended,
    async close() {
      guard.keepAlive(true);
      guard.stdin.end(DISMISSAL);
      await ended;
    },
  };
}

async function startProcess(order: GuardOrder): Promise<StartedTool> {
  try {
    // The order says all: what is meant for this process, such as NODE_OPTIONS, is not meant for its guard.
    return await startTool({ command: [process.execPath, programFile(), JSON.stringify(order)] });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start guard');
  }
}

/** Beside this file, be it source or built. */
const programFile = () =>
  fileURLToPath(import.meta.url.replace(/guard(\.[jt]s)$/, 'guard-process$1'));

async function failWhenEnded({ exited }: StartedTool): Promise<never> {
  const details = { stderr: (await exited).said.slice(0, 2000) };
  const message = 'start guard: the guard ended at once';
  throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, { details });
}
