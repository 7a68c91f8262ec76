/** Creates, starts and removes containers by calling a runtime. */
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { messageOf, StackshimError } from '../core/errors.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { fdPath } from '../sys/paths.ts';
import { fillPipe } from '../sys/pipes.ts';
import { readProcess } from '../sys/processes.ts';
import type { Fd, System } from '../sys/system.ts';
import { callRuntime } from './call-runtime.ts';
import { driverOf } from './drivers/driver-of.ts';
import type {
  ContainerReference,
  CreateContainerOptions,
  CreatedContainer,
  Runtime,
  RuntimeCallOptions,
  StartContainerOptions,
} from './runtime.ts';
import type { RuntimeFailureOptions } from './runtime-failure.ts';

/** A container that is being created. */
export interface ContainerCreation {
  /**
   * Writes the bundle's `config.json`; resolves once the container's init waits. On rejection the runtime may have left its state folder, cgroup
   * and processes: the caller removes them as after a task. The runtime writes its messages to the third descriptor as well as to its log, so
   * after a failure that stream is not the task's. Rejects with ERR_STACKSHIM_COMMAND_NOT_FOUND, _COMMAND_NOT_EXECUTABLE, _SPEC_INVALID,
   * _TASK_CONFLICT or _RUNTIME_FAILED (`details.log`: the end of its log).
   */
  finish(config: string): Promise<CreatedContainer>;
  /** Call this if the configuration could not be made. The runtime has done nothing, and has ended when this resolves. */
  cancel(): Promise<void>;
}

/**
 * Begins to create a container, in a bundle that this creates. A runtime that reads its configuration once starts at once and reads it from a
 * pipe: while the large program loads, the caller makes the root filesystem and configuration. If the caller dies, the pipe closes and the
 * runtime ends. Other runtimes start once the configuration is complete.
 */
export function beginContainer(
  system: System,
  runtime: Runtime,
  options: CreateContainerOptions,
): ContainerCreation {
  mkdirSync(options.bundle, { mode: 0o700 });
  // runsc would create this folder, with its sockets, accessible to every user of the host.
  ensureDirectorySync(options.stateRoot, 0o700);
  return driverOf(runtime).readsConfigOnce
    ? beginAtOnce(system, runtime, options)
    : {
        finish(config) {
          writeConfig(options, config);
          return createContainer(runtime, options, callCreate(runtime, options));
        },
        cancel: () => Promise.resolve(),
      };
}

/** The first descriptor after the three standard ones. */
const CONFIG_FD = 3;

function beginAtOnce(
  system: System,
  runtime: Runtime,
  options: CreateContainerOptions,
): ContainerCreation {
  const cancelled = new AbortController();
  const { signal } = options;
  const stop = () => cancelled.abort();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  const [readEnd, writeEnd] = system.createPipe();
  try {
    symlinkSync(fdPath(CONFIG_FD), configFile(options));
  } catch (error) {
    system.close(writeEnd);
    system.close(readEnd);
    throw error;
  }
  const called = callCreate(
    runtime,
    { ...options, signal: cancelled.signal },
    [...options.stdio, readEnd],
    () => system.close(readEnd),
  );
  const ended = called
    .finally(() => signal?.removeEventListener('abort', stop))
    .catch(() => undefined);
  let open = true;
  const closePipe = () => {
    if (open) system.close(writeEnd);
    open = false;
  };
  return {
    async finish(config) {
      try {
        await fillPipe(writeEnd, config);
      } finally {
        closePipe();
      }
      writeConfig(options, config);
      return await createContainer(runtime, options, called);
    },
    async cancel() {
      closePipe();
      stop();
      await ended;
    },
  };
}

const configFile = ({ bundle }: CreateContainerOptions) => `${bundle}/config.json`;

/** Replaces the file atomically: a runtime that has not opened its configuration yet reads the same content from the file. */
function writeConfig(options: CreateContainerOptions, config: string): void {
  const file = configFile(options);
  writeFileSync(`${file}.new`, config, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function callCreate(
  runtime: Runtime,
  options: CreateContainerOptions,
  stdio: readonly Fd[] = options.stdio,
  onRunning?: () => void,
): Promise<number | null> {
  const { id, timeoutMs, signal } = options;
  const args = driverOf(runtime).toArguments(options);
  args.push('create', '--bundle', options.bundle, '--pid-file', options.pidFile);
  if (options.consoleSocket !== undefined) args.push('--console-socket', options.consoleSocket);
  args.push(id);
  return callRuntime(runtime, args, {
    operation: operationOf(options),
    stdio,
    onRunning,
    timeoutMs,
    signal,
  });
}

const operationOf = ({ id }: CreateContainerOptions) => `create container ${id}`;

async function createContainer(
  runtime: Runtime,
  options: CreateContainerOptions,
  called: Promise<number | null>,
): Promise<CreatedContainer> {
  const operation = operationOf(options);
  const { logFile, pidFile } = options;
  const exitCode = await called;
  if (exitCode !== 0) throw await explain(runtime, { operation, logFile, exitCode });
  const init = readProcess(readPidFile(pidFile, operation));
  if (init !== undefined) return { pid: init.pid, startTime: init.startTime };
  const text = `${operation}: its first process has ended`;
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text);
}

function readPidFile(pidFile: string, operation: string): number {
  let text: string;
  try {
    text = readFileSync(pidFile, 'utf8').trim();
  } catch (cause) {
    const failed = `${operation}: read its pid file: ${messageOf(cause)}`;
    throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', failed, { cause });
  }
  // 0 or 1 would direct a later kill at this process or the host.
  if (/^\d{1,10}$/.test(text) && Number(text) > 1) return Number(text);
  const invalid = `${operation}: its pid file contains ${JSON.stringify(text.slice(0, 50))}`;
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', invalid);
}

/**
 * Lets a created container's waiting init become the command. Resolves when the init is released, shortly before the command runs. Rejects with
 * ERR_STACKSHIM_RUNTIME_FAILED if the init died meanwhile, was started before, or does not answer in time. A command that proves not to be
 * executable is no rejection: see `toStartFailure`.
 */
export async function startContainer(
  runtime: Runtime,
  container: ContainerReference,
  options: StartContainerOptions,
): Promise<void> {
  const driver = driverOf(runtime);
  if (driver.releaseInit !== undefined) await driver.releaseInit(container, options);
  else await runCommand(runtime, container, options, ['start']);
}

/** Whether the runtime has state of a container with this id. Throws ERR_STACKSHIM_INTERNAL if the id is not a plain file name. */
export const runtimeStateExists = (runtime: Runtime, container: ContainerReference): boolean =>
  driverOf(runtime).hasState(container);

/**
 * Makes the runtime forget a container; the cgroup stays. A second call does nothing. Precondition: the init is dead. An unknown runtime deletes
 * the container itself; if that fails, rejects with ERR_STACKSHIM_RUNTIME_FAILED.
 */
export async function removeRuntimeState(
  runtime: Runtime,
  container: ContainerReference,
  options: RuntimeCallOptions,
): Promise<void> {
  const driver = driverOf(runtime);
  if (driver.removeState !== undefined) await driver.removeState(container);
  else if (driver.hasState(container)) {
    await runCommand(runtime, container, options, ['delete', '--force']);
  }
}

/** Runs a runtime command on a container; throws if it fails. */
async function runCommand(
  runtime: Runtime,
  { id, stateRoot }: ContainerReference,
  options: RuntimeCallOptions & Pick<StartContainerOptions, 'hostNetwork'>,
  [name, ...flags]: readonly [string, ...string[]],
): Promise<void> {
  const { logFile, timeoutMs, signal } = options;
  const operation = `${name} container ${id}`;
  const args = driverOf(runtime).toArguments({ ...options, id, stateRoot });
  args.push(name, ...flags, id);
  const exitCode = await callRuntime(runtime, args, { operation, timeoutMs, signal });
  if (exitCode !== 0) throw await explain(runtime, { operation, logFile, exitCode });
}

/** The error for a failed runtime. Loads its table of messages only then. */
async function explain(runtime: Runtime, failed: RuntimeFailureOptions): Promise<StackshimError> {
  const { toRuntimeFailure } = await import('./runtime-failure.ts');
  return toRuntimeFailure(runtime, failed);
}
