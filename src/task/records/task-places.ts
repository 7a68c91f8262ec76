/** The names of everything that a task may create: computed for a new task, taken from the record by other processes. Pure. */
import { taskCgroup } from '../../cgroup/cgroup-names.ts';
import type { TaskId, TenantName } from '../../core/ids.ts';
import {
  type Layout,
  mountedVolumesDir,
  runtimeStateDir,
  taskDir,
  taskScratchDir,
  taskVolumeFile,
} from '../../core/layout.ts';
import type { TaskRecord } from './record.ts';

export type TaskPlaces = Readonly<ReturnType<typeof taskPlaces>>;

export function taskPlaces(layout: Layout, id: TaskId, tenant?: TenantName) {
  const dir = taskDir(layout, id);
  return {
    id,
    /** Below the run folder; contains everything that follows, up to the console socket. */
    taskDir: dir,
    recordFile: `${dir}/record.json`,
    /** Created by a process that requests the task's cancellation. */
    cancelFile: `${dir}/cancel`,
    /** The time by which the command must end. */
    limitFile: `${dir}/limit`,
    /** Created by the process that stops the task because its time is over. */
    overdueFile: `${dir}/overdue`,
    /** Exists while the task is paused, for processes that watch the task's folder. The kernel decides whether it is paused. */
    pausedFile: `${dir}/paused`,
    /** Exists while a prepared container waits for its command. */
    waitingFile: `${dir}/container.json`,
    /** One folder per exec in the task. Absent until the first. */
    execsDir: `${dir}/execs`,
    /** The OCI bundle: `config.json`. */
    bundle: `${dir}/bundle`,
    logFile: `${dir}/log.json`,
    pidFile: `${dir}/pid`,
    consoleSocket: `${dir}/tty`,
    volumeFile: taskVolumeFile(layout, id),
    /** The mount point of the idle volume after the task's end, for the next task that needs a volume of this size. */
    idleVolumeDir: `${mountedVolumesDir(layout)}/${id}`,
    ...scratchPlaces(taskScratchDir(layout, id)),
    cgroupsPath: taskCgroup(layout, id, tenant),
    /** The runtime's `--root`. */
    stateRoot: runtimeStateDir(layout),
  };
}

/** Names that depend on more than the task's id: the root folder, the tenant, or the program's version. Absolute paths. */
export type TaskNames = Readonly<ReturnType<typeof namesOf>>;

/** The names that the task's record stores. */
export const namesOf = (places: TaskPlaces) => ({
  /** Relative to the mount point of each cgroup hierarchy. */
  cgroup: places.cgroupsPath,
  scratchDir: places.scratchDir,
  volumeFile: places.volumeFile,
  idleVolumeDir: places.idleVolumeDir,
  stateRoot: places.stateRoot,
});

/** The places of a task of another process, or of another installation with the same run folder. `layout`: where the record was found. */
export function recordedPlaces(
  layout: Layout,
  { id, tenant, names }: Pick<TaskRecord, 'id' | 'tenant' | 'names'>,
): TaskPlaces {
  const { cgroup, scratchDir, volumeFile, idleVolumeDir, stateRoot } = names;
  return {
    ...taskPlaces(layout, id, tenant),
    ...{ cgroupsPath: cgroup, volumeFile, idleVolumeDir, stateRoot },
    ...scratchPlaces(scratchDir),
  };
}

const scratchPlaces = (scratchDir: string) => ({
  /** Below the root folder: writable layers, inputs, code. A scratch volume is mounted here while the task is prepared. */
  scratchDir,
  /** What the task leaves with `log`. */
  reportDir: scratchDir.replace(/\/scratch\/([^/]+)$/, '/reports/$1'),
  /** Payload and config, for the task to read. */
  inputsDir: `${scratchDir}/inputs`,
  codeFile: `${scratchDir}/code.erofs`,
});
