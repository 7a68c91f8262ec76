/** Parts what makes a container from what makes the command in it. Pure. */
import type { AdmittedTaskSpec, CommandSpec, ContainerSpec } from './task-spec.ts';

export interface SplitSpec {
  readonly container: ContainerSpec;
  readonly command: CommandSpec;
}

/** Each field goes to one of the two. */
export function splitSpec(spec: AdmittedTaskSpec): SplitSpec {
  const {
    command,
    entrypoint,
    env,
    workdir,
    user,
    ulimits,
    labels,
    tty,
    interactive,
    stopSignal,
    code,
    payload,
    config,
    keep,
    remove,
    captureBytes,
    limits: { timeoutMs, stopTimeoutMs, outputBytes, cpuTimeMs, ...containerLimits },
    ...container
  } = spec;
  return {
    container: { ...container, limits: containerLimits },
    command: {
      ...{ command, env, ulimits, labels, tty, interactive, keep, remove, captureBytes },
      ...(entrypoint === undefined ? {} : { entrypoint }),
      ...(workdir === undefined ? {} : { workdir }),
      ...(user === undefined ? {} : { user }),
      ...(stopSignal === undefined ? {} : { stopSignal }),
      ...(code === undefined ? {} : { code }),
      ...(payload === undefined ? {} : { payload }),
      ...(config === undefined ? {} : { config }),
      limits: {
        ...{ timeoutMs, stopTimeoutMs, outputBytes },
        ...(cpuTimeMs === undefined ? {} : { cpuTimeMs }),
      },
    },
  };
}
