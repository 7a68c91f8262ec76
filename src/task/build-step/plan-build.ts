/** Plans the task that runs a build step: in the same place as the task that needs the build, with the build's limits and without inputs. */
import { type TaskId, toTaskId } from '../../core/ids.ts';
import { TASK_DIR } from '../../oci/build-mounts.ts';
import type { CommandSpec, ContainerSpec } from '../../spec/task-spec.ts';
import { toDiskLimit } from '../disk/open-task-disk.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';
import { taskPlaces } from '../records/task-places.ts';
import { planHostFiles } from '../task-inputs.ts';

/** Output limit of a build: one that writes more has gone wrong. Only a small part of the output is kept. */
const OUTPUT_BYTES = 1024 ** 3;
/** Label whose value is the id of the task that needs the build. */
const BUILD_LABEL = 'stackshim.build-for';

/** Keeps user, rights and rootfs; drops what differs between tasks that share a build: environment, payload, config, binds, processor time limit. */
export function planBuild(
  { layout }: Installation,
  { container, command }: TaskPlan,
  build: readonly string[],
): TaskPlan {
  const id: TaskId = toTaskId(crypto.getRandomValues(new Uint8Array(13)));
  const { limits } = command.spec;
  const { tenant } = container.spec;
  const spec: ContainerSpec = {
    ...container.spec,
    mounts: [],
    network: command.spec.buildNetwork,
    limits: {
      ...container.spec.limits,
      memoryBytes: limits.buildMemoryBytes,
      diskBytes: limits.buildDiskBytes,
    },
  };
  const hostname = spec.hostname ?? id;
  return {
    container: {
      ...container,
      spec,
      hostname,
      files: planHostFiles(spec, hostname),
      disk: {
        mechanism: container.disk.mechanism,
        limit: toDiskLimit(limits.buildDiskBytes),
        isUsual: false,
      },
      places: taskPlaces(layout, id, tenant),
    },
    command: {
      spec: toBuildCommand(command.spec, build, container.places.id),
      origin: command.origin,
      command: build,
      stopSignal: command.stopSignal,
      files: [],
      hasProgress: false,
    },
  };
}

function toBuildCommand(spec: CommandSpec, build: readonly string[], task: TaskId): CommandSpec {
  const { user, ulimits, captureBytes, buildNetwork, limits } = spec;
  return {
    command: build,
    entrypoint: [],
    env: {},
    workdir: TASK_DIR,
    ...(user === undefined ? {} : { user }),
    ulimits,
    labels: { [BUILD_LABEL]: task },
    tty: false,
    interactive: false,
    buildNetwork,
    args: 'none',
    keep: false,
    log: false,
    outputs: [],
    outputRequired: false,
    // The removal waits until /task has been read.
    remove: 'async',
    captureBytes,
    limits: {
      timeoutMs: limits.buildTimeoutMs,
      stopTimeoutMs: limits.stopTimeoutMs,
      outputBytes: OUTPUT_BYTES,
      takenBytes: 0,
      takenEntries: 0,
      buildTimeoutMs: limits.buildTimeoutMs,
      buildMemoryBytes: limits.buildMemoryBytes,
      buildDiskBytes: limits.buildDiskBytes,
    },
  };
}
