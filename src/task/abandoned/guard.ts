/** A guard for library users: a process beside this one that removes its tasks as soon as it has died. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { type Owner, ownProcess } from '../../sys/processes.ts';
import { PLAIN_ENVIRONMENT } from '../../sys/program-environment.ts';
import { started } from '../../sys/started.ts';
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
  const { stdin, stdout, stderr } = guard;
  // A guard that was killed has closed its end.
  stdin.on('error', () => undefined);
  const ended = once(guard, 'exit').then(() => undefined);
  try {
    await Promise.race([firstWord(stdout), endWithout(ended, stderr)]);
  } catch (error) {
    guard.kill('SIGKILL');
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start guard');
  }
  guard.unref();
  for (const stream of [stdin, stdout, stderr]) unref(stream);
  return {
    pid: guard.pid ?? 0,
    ended,
    async close() {
      guard.ref();
      stdin.end(DISMISSAL);
      await ended;
    },
  };
}

async function startProcess(order: GuardOrder): Promise<ChildProcessWithoutNullStreams> {
  try {
    return await started(
      spawn(process.execPath, [programFile(), JSON.stringify(order)], {
        cwd: '/',
        // The order says all: what is meant for this process, such as NODE_OPTIONS, is not meant for its guard.
        env: PLAIN_ENVIRONMENT,
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      }),
    );
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'start guard');
  }
}

/** Beside this file, be it source or built. */
const programFile = () =>
  fileURLToPath(import.meta.url.replace(/guard(\.[jt]s)$/, 'guard-process$1'));

async function firstWord(stdout: Readable): Promise<void> {
  await once(stdout, 'data');
}

async function endWithout(ended: Promise<void>, stderr: Readable): Promise<never> {
  const said: string[] = [];
  stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
  await ended;
  const details = { stderr: said.join('').slice(0, 2000) };
  throw new StackshimError('ERR_STACKSHIM_SYSTEM', 'start guard: the guard ended at once', {
    details,
  });
}

/** Pipes of child processes are sockets to Node. */
function unref(stream: Readable | Writable): void {
  if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
}
