/** Everything a task may make, by name: derived for a new task, and as its record names it for those who come later. Pure. */
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { isTenantName, type TaskId, type TenantName } from '../../core/ids.ts';
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
  /** Below the run folder; holds what follows up to the scratch folder. */
  readonly taskDir: string;
  readonly recordFile: string;
  /** Made by whoever asks that the task be cancelled. */
  readonly cancelFile: string;
  /** By when the command must have ended. */
  readonly limitFile: string;
  /** Made by whoever stops the task because its time is over. */
  readonly overdueFile: string;
  /** Present while a prepared container waits for its command. */
  readonly waitingFile: string;
  /** The OCI bundle: `config.json`. */
  readonly bundle: string;
  readonly logFile: string;
  readonly pidFile: string;
  readonly consoleSocket: string;
  /** Below the root folder: writable uppers, and the two that follow it. A scratch volume is mounted here while the task is prepared. */
  readonly scratchDir: string;
  /** The scratch volume's file. */
  readonly volumeFile: string;
  /** Where the volume is mounted once the task has ended, for the next one that wants such a volume. */
  readonly idleVolumeDir: string;
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
    waitingFile: `${dir}/container.json`,
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

/** What the record of a task with these places names. */
export const namesOf = (places: TaskPlaces): TaskNames => ({
  cgroup: places.cgroupsPath,
  scratchDir: places.scratchDir,
  volumeFile: places.volumeFile,
  idleVolumeDir: places.idleVolumeDir,
  stateRoot: places.stateRoot,
});

/**
 * The places of a task that another process, or another installation with the same run folder, has made. The record is the one that was
 * found in `layout`.
 */
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
  inputsDir: `${scratchDir}/inputs`,
  codeFile: `${scratchDir}/code.erofs`,
});

const TENANT_PREFIX = 'tenant-';

/**
 * The cgroup below which every task of an installation lives; two installations never share one.
 * `/stackshim-<8 hex digits of the root folder's FNV-1a>`. It stays, empty, between tasks.
 * A hash of this kind is enough: an operator chooses the roots, and the executable need not load a crypto library for it.
 */
export function cgroupParent({ root }: Pick<Layout, 'root'>): string {
  let hash = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(root)) {
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  return `/stackshim-${(hash >>> 0).toString(16).padStart(8, '0')}`;
}

/** Whose task it is, as its cgroup tells, for when its record does not. Undefined: nobody's, or it has no cgroup. */
export function findTenant(
  cgroups: CgroupDriver,
  layout: Pick<Layout, 'root'>,
  id: TaskId,
): TenantName | undefined {
  return cgroups
    .children(cgroupParent(layout))
    .filter((name) => name.startsWith(TENANT_PREFIX))
    .map((name) => name.slice(TENANT_PREFIX.length))
    .filter(isTenantName)
    .find((tenant) => cgroups.existing(taskCgroup(layout, id, tenant)).length > 0);
}

/**
 * Of all tasks of a tenant. The words before the names keep tenants and tasks apart, and both from the kernel's own files, which have
 * no `-`: a task may well be called `tasks` or `cgroup.procs`.
 */
export const tenantCgroup = (layout: Pick<Layout, 'root'>, tenant: TenantName) =>
  `${cgroupParent(layout)}/${TENANT_PREFIX}${tenant}`;

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId, tenant?: TenantName) =>
  `${tenant === undefined ? cgroupParent(layout) : tenantCgroup(layout, tenant)}/task-${id}`;
