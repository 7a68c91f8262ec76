/** Runs one command line of an OCI runtime within a time limit. */
import { closeSync } from 'node:fs';
import { errnoCodeOf, messageOf, StackshimError } from '../core/errors.ts';
import {
  type BoundedEnd,
  endWithin,
  type GivenUp,
  openNullDevice,
  type StartedProgram,
  SYSTEM_PATH,
  startProgram,
} from '../sys/start-program.ts';
import type { Fd, ProcessExit } from '../sys/system.ts';
import { programOf } from './drivers/driver-of.ts';
import type { Runtime } from './runtime.ts';

export interface CallOptions {
  /** The beginning of error messages: `create container t1`. */
  readonly operation: string;
  /** The runtime's descriptors 0, 1, 2 and so on. Default: a null device. */
  readonly stdio?: readonly Fd[];
  /** Called once the runtime has its own copies of the descriptors, or could not be started. */
  readonly onRunning?: (() => void) | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** The runtime inherits nothing of the caller's environment. */
const environment = { PATH: SYSTEM_PATH };

/**
 * Begins to start the runtime before it returns; resolves to the exit code, null if a signal ended the runtime. Rejects with
 * ERR_STACKSHIM_RUNTIME_NOT_FOUND or ERR_STACKSHIM_RUNTIME_FAILED if the runtime cannot be run, after `timeoutMs`, and when `signal` aborts
 * (`details.reason`: `timeout`, `aborted`); the runtime has been killed by then.
 */
export async function callRuntime(
  runtime: Runtime,
  args: readonly string[],
  options: CallOptions,
): Promise<number | null> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (signal?.aborted) {
    options.onRunning?.();
    throw unfinished(runtime, options, 'aborted');
  }
  const program = start(runtime, args, options);
  let ended: BoundedEnd<ProcessExit>;
  try {
    ended = await endWithin(program, { timeoutMs, signal });
  } catch (cause) {
    const isMissing = errnoCodeOf(cause) === 'ENOENT';
    throw new StackshimError(
      isMissing ? 'ERR_STACKSHIM_RUNTIME_NOT_FOUND' : 'ERR_STACKSHIM_RUNTIME_FAILED',
      `${options.operation}: run ${runtime.path}: ${messageOf(cause)}`,
      { cause, details: { runtime: runtime.path } },
    );
  }
  if (ended.givenUp !== undefined) throw unfinished(runtime, options, ended.givenUp);
  return ended.end.exitCode;
}

function start(
  runtime: Runtime,
  args: readonly string[],
  { stdio, onRunning }: CallOptions,
): StartedProgram {
  const nullDevice = stdio === undefined ? openNullDevice('both') : undefined;
  const streams = nullDevice === undefined ? stdio : [nullDevice, nullDevice, nullDevice];
  const program = startProgram({
    path: programOf(runtime),
    args,
    env: environment,
    stdio: streams ?? [],
  });
  const release = () => {
    if (nullDevice !== undefined) closeSync(nullDevice);
    onRunning?.();
  };
  program.running.then(release, release);
  return program;
}

function unfinished(runtime: Runtime, { operation }: CallOptions, reason: GivenUp): StackshimError {
  const why = reason === 'timeout' ? 'did not finish in time' : 'did not finish: aborted';
  const text = `${operation}: ${runtime.kind} ${why}`;
  const details = { runtime: runtime.path, reason };
  return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { details });
}
