/** A whole OCI configuration from one input: what a task's stages make in parts. */
import {
  buildContainerConfig,
  type ContainerInput,
  joinConfig,
} from '../../../src/oci/build-config.ts';
import { buildProcess, type ProcessInput } from '../../../src/oci/build-process.ts';
import type { OciConfig } from '../../../src/oci/oci-config.ts';

export type ConfigInput = ContainerInput & ProcessInput;

export const buildConfig = (input: ConfigInput): OciConfig =>
  joinConfig(buildContainerConfig(input), buildProcess(input), []);
