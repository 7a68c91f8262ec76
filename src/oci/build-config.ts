/** A task's whole OCI configuration. */
import { buildContainerConfig, type ContainerInput } from './build-container-config.ts';
import { buildProcess, type ProcessInput } from './build-process.ts';
import type { OciConfig } from './oci-config.ts';

export type ConfigInput = ContainerInput & ProcessInput;

/** Joins {@link buildContainerConfig} and {@link buildProcess}; pure, throws what they throw. */
export function buildConfig(input: ConfigInput): OciConfig {
  return { ...buildContainerConfig(input), process: buildProcess(input) };
}
