/** Builds a complete OCI configuration from one input; a task builds it in several stages. */
import { joinConfig } from '../../../src/oci/build-config.ts';
import {
  buildContainerConfig,
  type ContainerInput,
} from '../../../src/oci/build-container-config.ts';
import { buildProcess, type ProcessInput } from '../../../src/oci/build-process.ts';
import type { OciConfig } from '../../../src/oci/oci-config.ts';

export type ConfigInput = ContainerInput & ProcessInput;

export const buildConfig = (input: ConfigInput): OciConfig =>
  joinConfig(buildContainerConfig(input), { process: buildProcess(input), mounts: [] });
