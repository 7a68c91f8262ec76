/** A whole OCI configuration, of a container and the command in it. */
import type { ContainerConfig } from './build-container-config.ts';
import { shallowFirst } from './build-mounts.ts';
import type { OciConfig, OciMount, OciProcess } from './oci-config.ts';

export interface CommandConfig {
  readonly process: OciProcess;
  /** What is mounted for the command alone. */
  readonly mounts: readonly OciMount[];
}

/** Puts a command into a container's configuration. Pure. */
export function joinConfig(container: ContainerConfig, command: CommandConfig): OciConfig {
  const { base, asked } = container.mounts;
  return {
    ...container,
    mounts: [...base, ...shallowFirst([...asked, ...command.mounts])],
    process: command.process,
  };
}

/** RLIM_INFINITY, which a JavaScript number cannot represent exactly. */
const UNLIMITED = '18446744073709551615';
// No argument, variable or path can contain a NUL, so no other string of a configuration equals this one.
const MARK = '\0unlimited';

/** Serialises a configuration; Infinity in a resource limit of the process becomes RLIM_INFINITY. */
export function toConfigJson(config: OciConfig): string {
  const mark = (limit: number) => (limit === Infinity ? MARK : limit);
  // Only these can be infinite. To look at every value of a configuration takes several times as long as to serialise it.
  const rlimits = config.process.rlimits.map(({ type, soft, hard }) => ({
    type,
    soft: mark(soft),
    hard: mark(hard),
  }));
  const json = JSON.stringify({ ...config, process: { ...config.process, rlimits } });
  return json.replaceAll(JSON.stringify(MARK), UNLIMITED);
}
