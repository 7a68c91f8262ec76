/** Runs an OCI runtime's command line once and waits for it, never for longer than told. */
import { type ChildProcess, spawn } from 'node:child_process';
import { errnoCodeOf, messageOf, StackshimError } from '../core/errors.ts';
import type { Fd } from '../sys/system.ts';
import type { Runtime } from './runtime.ts';

export interface CallOptions {
  /** `create container t1`: begins the message of an error. */
  readonly operation: string;
  readonly stdio: readonly [Fd | 'ignore', Fd | 'ignore', Fd | 'ignore'];
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Nothing of the caller's environment reaches the runtime. */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * Runs the runtime and resolves to its exit code, null when a signal ended it. Rejects with ERR_STACKSHIM_RUNTIME_NOT_FOUND
 * or ERR_STACKSHIM_RUNTIME_FAILED when it cannot be run, when `timeoutMs` has passed and when `signal` aborts
 * (`details.reason`: `timeout`, `aborted`); it has been killed by then.
 */
export function callRuntime(
  runtime: Runtime,
  args: readonly string[],
  options: CallOptions,
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(unfinished(runtime, options, 'aborted'));
      return;
    }
    const child = spawn(runtime.path, args, {
      cwd: '/',
      env: environment,
      stdio: [...options.stdio],
      // A session of its own: an interrupt at the terminal must not end a half-made container, and a wrapper's children can be killed with it.
      detached: true,
    });
    let givenUp: StackshimError | undefined;
    const giveUp = (reason: 'timeout' | 'aborted') => {
      givenUp ??= unfinished(runtime, options, reason);
      killGroup(child);
    };
    const onAbort = () => giveUp('aborted');
    const timer = setTimeout(giveUp, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 'timeout' as const);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      finish();
    };
    child.once('error', (error) => settle(() => reject(notRun(runtime, options, error))));
    // Not `close`: the container's init inherits the descriptors and keeps them open.
    child.once('exit', (exitCode) =>
      settle(() => (givenUp === undefined ? resolve(exitCode) : reject(givenUp))),
    );
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (errnoCodeOf(error) !== 'ESRCH') throw error;
  }
}

function unfinished(
  runtime: Runtime,
  { operation }: CallOptions,
  reason: 'timeout' | 'aborted',
): StackshimError {
  const why = reason === 'timeout' ? 'did not finish in time' : 'did not finish: aborted';
  return new StackshimError(
    'ERR_STACKSHIM_RUNTIME_FAILED',
    `${operation}: ${runtime.kind} ${why}`,
    {
      details: { runtime: runtime.path, reason },
    },
  );
}

function notRun(runtime: Runtime, { operation }: CallOptions, cause: Error): StackshimError {
  const isMissing = errnoCodeOf(cause) === 'ENOENT';
  return new StackshimError(
    isMissing ? 'ERR_STACKSHIM_RUNTIME_NOT_FOUND' : 'ERR_STACKSHIM_RUNTIME_FAILED',
    `${operation}: run ${runtime.path}: ${messageOf(cause)}`,
    { cause, details: { runtime: runtime.path } },
  );
}
