import { callRuntime } from './call-runtime.ts';
import { driverOf } from './drivers/driver-of.ts';
import type { ContainerReference, Runtime, StartContainerOptions } from './runtime.ts';
import { toRuntimeFailure } from './runtime-failure.ts';

/**
 * Starts a created container: lets its waiting init become the command. Resolves when the init has been released, which is shortly before
 * the command runs. Rejects with ERR_STACKSHIM_RUNTIME_FAILED if the init died meanwhile, was started before, or does not answer in time. A
 * command that turns out not to be executable is not a rejection here: see `toStartFailure`.
 */
export async function startContainer(
  runtime: Runtime,
  container: ContainerReference,
  options: StartContainerOptions,
): Promise<void> {
  const driver = driverOf(runtime);
  if (driver.releaseInit !== undefined) {
    await driver.releaseInit(container, options);
    return;
  }
  const { logFile, timeoutMs, signal, hostNetwork = false } = options;
  const operation = `start container ${container.id}`;
  const args = driver.toArguments({ ...container, logFile, hostNetwork });
  args.push('start', container.id);
  const exitCode = await callRuntime(runtime, args, { operation, timeoutMs, signal });
  if (exitCode !== 0) throw toRuntimeFailure(runtime, { operation, logFile, exitCode });
}
