/** The folder in which a runtime keeps what it knows of a container. */
import { statSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { callRuntime } from './call-runtime.ts';
import { removeRunscFiles, runscFiles } from './runsc-files.ts';
import type { ContainerReference, Runtime, RuntimeCallOptions } from './runtime.ts';
import { runtimeArguments } from './runtime-arguments.ts';
import { toRuntimeFailure } from './runtime-failure.ts';

const CONTAINER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** The state folder of a container. Throws ERR_STACKSHIM_INTERNAL for an id that is no plain file name. */
export function runtimeStateDirectory({ id, stateRoot }: ContainerReference): string {
  if (!CONTAINER_ID.test(id)) {
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', `container id ${JSON.stringify(id)}`);
  }
  return `${stateRoot}/${id}`;
}

/** Whether the runtime still knows a container of this id. */
export function runtimeStateExists(runtime: Runtime, container: ContainerReference): boolean {
  const directory = runtimeStateDirectory(container);
  if (statSync(directory, { throwIfNoEntry: false }) !== undefined) return true;
  return runtime.kind === 'runsc' && runscFiles(container).length > 0;
}

/**
 * Makes the runtime forget a container; a second call does nothing. Precondition: its init is dead; its cgroup is not touched.
 * For runc and crun the folder is all there is (measured: `delete` starts a program for that, 5 ms), for runsc a few files (its own `delete`
 * waits until its dead children were waited for: up to 1.7 s). Others are asked to delete it themselves, and reject with
 * ERR_STACKSHIM_RUNTIME_FAILED when they do not.
 */
export async function removeRuntimeState(
  runtime: Runtime,
  container: ContainerReference,
  options: RuntimeCallOptions,
): Promise<void> {
  if (runtime.kind !== 'other') {
    await removeTree(runtimeStateDirectory(container));
    if (runtime.kind === 'runsc') removeRunscFiles(container);
    return;
  }
  if (!runtimeStateExists(runtime, container)) return;
  const { logFile, timeoutMs, signal } = options;
  const operation = `delete container ${container.id}`;
  const args = runtimeArguments(runtime, { ...container, logFile });
  args.push('delete', '--force', container.id);
  const exitCode = await callRuntime(runtime, args, { operation, timeoutMs, signal });
  if (exitCode !== 0) throw toRuntimeFailure(runtime, { operation, logFile, exitCode });
}
