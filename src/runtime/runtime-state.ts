/** What a runtime keeps of a container. */
import { callRuntime } from './call-runtime.ts';
import { driverOf } from './drivers/driver-of.ts';
import type { ContainerReference, Runtime, RuntimeCallOptions } from './runtime.ts';
import { toRuntimeFailure } from './runtime-failure.ts';

/** Whether the runtime still knows a container of this id. Throws ERR_STACKSHIM_INTERNAL for an id that is no plain file name. */
export const runtimeStateExists = (runtime: Runtime, container: ContainerReference): boolean =>
  driverOf(runtime).hasState(container);

/**
 * Makes the runtime forget a container; a second call does nothing. Precondition: its init is dead; its cgroup is not touched.
 * Runtimes that are not known are asked to delete it themselves, and reject with ERR_STACKSHIM_RUNTIME_FAILED when they do not.
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
