/** The state that a runtime keeps for a container. */
import { callRuntime } from './call-runtime.ts';
import { driverOf } from './drivers/driver-of.ts';
import type { ContainerReference, Runtime, RuntimeCallOptions } from './runtime.ts';
import { toRuntimeFailure } from './runtime-failure.ts';

/** Whether the runtime still has state of a container with this id. Throws ERR_STACKSHIM_INTERNAL for an id that is not a plain file name. */
export const runtimeStateExists = (runtime: Runtime, container: ContainerReference): boolean =>
  driverOf(runtime).hasState(container);

/**
 * Makes the runtime forget a container; a second call does nothing. Precondition: its init is dead. The cgroup stays. An unknown runtime is
 * asked to delete the container itself; if that fails, rejects with ERR_STACKSHIM_RUNTIME_FAILED.
 */
export async function removeRuntimeState(
  runtime: Runtime,
  container: ContainerReference,
  options: RuntimeCallOptions,
): Promise<void> {
  const driver = driverOf(runtime);
  if (driver.removeState !== undefined) {
    await driver.removeState(container);
    return;
  }
  if (!driver.hasState(container)) return;
  const { logFile, timeoutMs, signal } = options;
  const operation = `delete container ${container.id}`;
  const args = driver.toArguments({ ...container, logFile });
  args.push('delete', '--force', container.id);
  const exitCode = await callRuntime(runtime, args, { operation, timeoutMs, signal });
  if (exitCode !== 0) throw toRuntimeFailure(runtime, { operation, logFile, exitCode });
}
