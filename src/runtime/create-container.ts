/** Has the runtime create a container whose init waits to be started. */
import { readFileSync } from 'node:fs';
import { messageOf, StackshimError } from '../core/errors.ts';
import { readProcess } from '../sys/processes.ts';
import { callRuntime } from './call-runtime.ts';
import type { CreateContainerOptions, CreatedContainer, Runtime } from './runtime.ts';
import { toRuntimeFailure } from './runtime-failure.ts';

/**
 * Creates a container from its bundle. On rejection the runtime may have left its state folder, cgroup and processes: the caller
 * removes them as it does after a task. Its own words go to the third descriptor as well as to the log: after a failure that stream
 * is not the task's. Rejects with ERR_STACKSHIM_COMMAND_NOT_FOUND, _COMMAND_NOT_EXECUTABLE, _SPEC_INVALID, _TASK_CONFLICT or
 * _RUNTIME_FAILED (`details.log`: the end of its log).
 */
export async function createContainer(
  runtime: Runtime,
  options: CreateContainerOptions,
): Promise<CreatedContainer> {
  const { id, logFile } = options;
  const operation = `create container ${id}`;
  const args = ['--root', options.stateRoot, '--log', logFile, '--log-format', 'json'];
  args.push('create', '--bundle', options.bundle, '--pid-file', options.pidFile);
  if (options.consoleSocket !== undefined) args.push('--console-socket', options.consoleSocket);
  args.push(id);
  const { stdio, timeoutMs, signal } = options;
  const exitCode = await callRuntime(runtime, args, { operation, stdio, timeoutMs, signal });
  if (exitCode !== 0) throw toRuntimeFailure(runtime, { operation, logFile, exitCode });
  const init = readProcess(readPidFile(options.pidFile, operation));
  if (init === undefined) {
    throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', `${operation}: its init is gone`);
  }
  return { pid: init.pid, startTime: init.startTime };
}

function readPidFile(pidFile: string, operation: string): number {
  let text: string;
  try {
    text = readFileSync(pidFile, 'utf8').trim();
  } catch (error) {
    throw new StackshimError(
      'ERR_STACKSHIM_RUNTIME_FAILED',
      `${operation}: read its pid file: ${messageOf(error)}`,
      { cause: error },
    );
  }
  // 0 and 1 would turn a later kill against ourselves or the host.
  if (/^\d{1,10}$/.test(text) && Number(text) > 1) return Number(text);
  throw new StackshimError(
    'ERR_STACKSHIM_RUNTIME_FAILED',
    `${operation}: its pid file holds ${JSON.stringify(text.slice(0, 50))}`,
  );
}
