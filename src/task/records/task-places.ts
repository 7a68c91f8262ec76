/** The names of everything a task may make: computed for a new task, and taken from its record by other processes. Pure. */
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
    /** Below the run folder; contains everything that follows, up to the scratch folder. */
    taskDir: dir,
    recordFile: `${dir}/record.json`,
    /** Created by a process that requests the task's cancellation. */
    cancelFile: `${dir}/cancel`,
    /** Holds the time by which the command must have ended. */
    limitFile: `${dir}/limit`,
    /** Created by the process that stops the task because its time is over. */
    overdueFile: `${dir}/overdue`,
    /** Exists while the task is paused, for processes that watch the task's folder. The kernel knows whether it is. */
    pausedFile: `${dir}/paused`,
    /** Exists while a prepared container waits for its command. */
    waitingFile: `${dir}/container.json`,
    /** Commands that were executed in the task beside its own: a folder for each of them. Absent until there is one. */
    execsDir: `${dir}/execs`,
    /** The OCI bundle: `config.json`. */
    bundle: `${dir}/bundle`,
    logFile: `${dir}/log.json`,
    pidFile: `${dir}/pid`,
    consoleSocket: `${dir}/tty`,
    volumeFile: taskVolumeFile(layout, id),
    /** Where the volume is mounted after the task's end, for the next task that needs one like it. */
    idleVolumeDir: `${mountedVolumesDir(layout)}/${id}`,
    ...scratchPlaces(taskScratchDir(layout, id)),
    cgroupsPath: taskCgroup(layout, id, tenant),
    /** The runtime's `--root`. */
    stateRoot: runtimeStateDir(layout),
  };
}

/** Names that do not follow from the task's id alone, but from the root folder, the tenant, or the program's version. Absolute paths. */
export type TaskNames = Readonly<ReturnType<typeof namesOf>>;

/** The names that are stored in the task's record. */
export const namesOf = (places: TaskPlaces) => ({
  /** Relative to the mount point of each cgroup hierarchy. */
  cgroup: places.cgroupsPath,
  scratchDir: places.scratchDir,
  volumeFile: places.volumeFile,
  idleVolumeDir: places.idleVolumeDir,
  stateRoot: places.stateRoot,
});

/** The places of a task that another process, or another installation with the same run folder, has made. The record was found in `layout`. */
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
  /** Below the root folder: writable layers, inputs and code. A scratch volume is mounted here while the task is prepared. */
  scratchDir,
  /** What the task leaves with `log`. */
  reportDir: scratchDir.replace(/\/scratch\/([^/]+)$/, '/reports/$1'),
  /** Payload and config, for the task to read. */
  inputsDir: `${scratchDir}/inputs`,
  codeFile: `${scratchDir}/code.erofs`,
});
