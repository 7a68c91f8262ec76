/** Starts a guard: a second process that removes the tasks of this one as soon as it has died. */
import { once } from 'node:events';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import { parseTaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { type Owner, ownProcess } from '../../sys/processes.ts';
import { ownProgram } from '../../sys/start-program.ts';
import { type StartedTool, startTool } from '../../sys/start-tool.ts';
import type { Installation } from '../installation.ts';
import { DISMISSAL, GUARD_WORD, toPermitLine } from './guard-words.ts';

/** A process that waits for the death of this one. */
export interface Guard {
  readonly pid: number;
  /** Resolves when the guard has ended: after `close`, or because it was killed. In the latter case, start another one. */
  readonly ended: Promise<void>;
  /**
   * Sets until when tasks of this process may run; the guard kills those whose time has passed, even while this process is stopped. A later
   * call can put the time off; null: the task may run as long as its limits allow. Times are on the clock CLOCK_BOOTTIME, in milliseconds.
   * A task may be named before it exists; name it again, with null, when it is over. Does nothing once the guard has ended. Throws
   * ERR_STACKSHIM_SPEC_INVALID for an id that is none.
   */
  permit(untilMs: ReadonlyMap<string, number | null>): void;
  /** Ends the guard: running tasks are no longer guarded. A second call does nothing. */
  close(): Promise<void>;
}

/** The guard's instructions at its start. */
export interface GuardOrder {
  readonly layout: Layout;
  /** A process with all its threads. */
  readonly owner: Owner;
}

/**
 * Starts a guard of this process's tasks in one installation, including tasks that already run. When this process dies, however it does, the
 * guard removes its tasks. The tasks of a worker thread that has ended are removed within a second. The guard has its own session and reads
 * from a pipe that only this process can write to, so that the kernel closes the pipe at this process's death. The guard does not keep the
 * event loop alive and costs nothing per task. One guard per process is enough, for all its threads. Resolves once the guard is ready;
 * rejects with ERR_STACKSHIM_SYSTEM if it cannot be started.
 */
export async function startGuard(installation: Installation): Promise<Guard> {
  const order: GuardOrder = { layout: installation.layout, owner: ownProcess() };
  const program = ownProgram(GUARD_WORD, 'guard-process', import.meta.filename);
  let guard: StartedTool | undefined;
  try {
    // The order contains everything. The environment of this process, such as NODE_OPTIONS, is not meant for its guard.
    guard = await startTool({ command: [process.execPath, program, JSON.stringify(order)] });
    const ready = once(guard.stdout, 'data');
    guard.stdout.resume();
    await Promise.race([ready, failWhenEnded(guard)]);
  } catch (error) {
    guard?.killAll();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start guard');
  }
  return toGuard(guard);
}

function toGuard(guard: StartedTool): Guard {
  guard.keepAlive(false);
  const ended = guard.exited.then(() => undefined);
  return {
    pid: guard.pid,
    ended,
    permit(untilMs) {
      const lines = [...untilMs].map(([id, until]) =>
        toPermitLine({ id: parseTaskId(id), untilMs: until }),
      );
      if (guard.stdin.writable) guard.stdin.write(lines.join(''));
    },
    async close() {
      guard.keepAlive(true);
      guard.stdin.end(`${DISMISSAL}\n`);
      await ended;
    },
  };
}

async function failWhenEnded({ exited }: StartedTool): Promise<never> {
  const details = { stderr: (await exited).stderr.slice(0, 2000) };
  const message = 'start guard: the guard ended at once';
  throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, { details });
}
