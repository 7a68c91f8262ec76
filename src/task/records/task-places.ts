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
import type { TaskNames, TaskRecord } from './record.ts';

export interface TaskPlaces {
  readonly id: TaskId;
  /** Below the run folder; contains everything that follows, up to the scratch folder. */
  readonly taskDir: string;
  readonly recordFile: string;
  /** Created by a process that requests the task's cancellation. */
  readonly cancelFile: string;
  /** Holds the time by which the command must have ended. */
  readonly limitFile: string;
  /** Created by the process that stops the task because its time is over. */
  readonly overdueFile: string;
  /** Exists while the task is paused, for processes that watch the task's folder. The kernel knows whether it is. */
  readonly pausedFile: string;
  /** Exists while a prepared container waits for its command. */
  readonly waitingFile: string;
  /** Commands that were executed in the task beside its own: a folder for each of them. Absent until there is one. */
  readonly execsDir: string;
  /** The OCI bundle: `config.json`. */
  readonly bundle: string;
  readonly logFile: string;
  readonly pidFile: string;
  readonly consoleSocket: string;
  /** Below the root folder: writable layers, inputs and code. A scratch volume is mounted here while the task is prepared. */
  readonly scratchDir: string;
  /** The scratch volume's file. */
  readonly volumeFile: string;
  /** Where the volume is mounted after the task's end, for the next task that needs one like it. */
  readonly idleVolumeDir: string;
  /** What the task leaves with `log`. */
  readonly reportDir: string;
  /** Payload and config, for the task to read. */
  readonly inputsDir: string;
  readonly codeFile: string;
  readonly cgroupsPath: string;
  /** The runtime's `--root`. */
  readonly stateRoot: string;
}

export function taskPlaces(layout: Layout, id: TaskId, tenant?: TenantName): TaskPlaces {
  const dir = taskDir(layout, id);
  const scratch = taskScratchDir(layout, id);
  return {
    id,
    taskDir: dir,
    recordFile: `${dir}/record.json`,
    cancelFile: `${dir}/cancel`,
    limitFile: `${dir}/limit`,
    overdueFile: `${dir}/overdue`,
    pausedFile: `${dir}/paused`,
    waitingFile: `${dir}/container.json`,
    execsDir: `${dir}/execs`,
    bundle: `${dir}/bundle`,
    logFile: `${dir}/log.json`,
    pidFile: `${dir}/pid`,
    consoleSocket: `${dir}/tty`,
    scratchDir: scratch,
    volumeFile: taskVolumeFile(layout, id),
    idleVolumeDir: `${mountedVolumesDir(layout)}/${id}`,
    ...belowScratch(scratch),
    cgroupsPath: taskCgroup(layout, id, tenant),
    stateRoot: runtimeStateDir(layout),
  };
}

/** The names that are stored in the task's record. */
export const namesOf = (places: TaskPlaces): TaskNames => ({
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
    ...{ cgroupsPath: cgroup, scratchDir, volumeFile, idleVolumeDir, stateRoot },
    ...belowScratch(scratchDir),
  };
}

const belowScratch = (scratchDir: string) => ({
  reportDir: scratchDir.replace(/\/scratch\/([^/]+)$/, '/reports/$1'),
  inputsDir: `${scratchDir}/inputs`,
  codeFile: `${scratchDir}/code.erofs`,
});
