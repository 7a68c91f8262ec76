/** What every call of a runtime's command line begins with. */
import type { ContainerReference, Runtime } from './runtime.ts';

export interface ArgumentOptions extends ContainerReference {
  readonly logFile: string;
  /** The container has the host's network namespace. Only runsc wants to be told besides the configuration. */
  readonly hostNetwork?: boolean;
}

/**
 * Options before the command. For runsc they make a container what the configuration says it is: files are written to the root
 * filesystem that it was given, not to a hidden one of its own, and the seccomp profile holds within the sandbox.
 */
export function runtimeArguments(runtime: Runtime, options: ArgumentOptions): string[] {
  const { stateRoot, logFile, hostNetwork = false } = options;
  const args = ['--root', stateRoot, '--log', logFile, '--log-format', 'json'];
  if (runtime.kind !== 'runsc') return args;
  return [
    ...args,
    `--network=${hostNetwork ? 'host' : 'none'}`,
    '--overlay2=none',
    '--oci-seccomp',
  ];
}
