/** The paths of all files, computed from three folders. Pure. docs/on-disk-layout.md describes them. */
import type { BuildKey, LayerId, PackageName, StackName, TaskId, TenantName } from './ids.ts';

export interface Layout {
  /** Durable state: `/var/lib/stackshim` (STACKSHIM_ROOT). */
  readonly root: string;
  /** State of this boot: `/run/stackshim` (STACKSHIM_RUN). */
  readonly run: string;
  /** The operator's policy file: `/etc/stackshim/policy.json` (STACKSHIM_POLICY). */
  readonly policyFile: string;
  /** True only for the default path: a machine without that file has no policy. */
  readonly policyIsOptional?: boolean;
  /** Shared by all installations on the machine, because their uid ranges must not overlap. Only root can write to its parent. */
  readonly slots: string;
  /** The folder of earlier versions. While it exists, until the next boot, their tasks may hold slots. */
  readonly olderSlots?: string;
}

/** Which installation to use. Missing fields come from the environment, then from the default. */
export interface LayoutOptions {
  /** Durable state: STACKSHIM_ROOT, `/var/lib/stackshim`. */
  readonly root?: string | undefined;
  /** State of this boot: STACKSHIM_RUN, `/run/stackshim`. */
  readonly run?: string | undefined;
  /** The policy file: STACKSHIM_POLICY, `/etc/stackshim/policy.json`. If named here or in the environment, the file must exist. */
  readonly policy?: string | undefined;
}

/** The layout from `options`, else from the environment, else the default. */
export function layoutFrom(
  options: LayoutOptions,
  env: Readonly<Record<string, string | undefined>>,
): Layout {
  const policyFile = options.policy ?? env['STACKSHIM_POLICY'];
  return {
    root: options.root ?? env['STACKSHIM_ROOT'] ?? '/var/lib/stackshim',
    run: options.run ?? env['STACKSHIM_RUN'] ?? '/run/stackshim',
    policyFile: policyFile ?? '/etc/stackshim/policy.json',
    policyIsOptional: policyFile === undefined,
    slots: '/run/stackshim-slots',
    olderSlots: '/run/lock/stackshim',
  };
}

// under the root folder
export const layersDir = (layout: Layout) => `${layout.root}/layers`;
export const layerFile = (layout: Layout, id: LayerId) => `${layout.root}/layers/${id}.erofs`;
export const layerRecordFile = (layout: Layout, id: LayerId) => `${layout.root}/layers/${id}.json`;
/** Separate from the record, because it may be lost. */
export const layerPackedFile = (layout: Layout, id: LayerId) =>
  `${layout.root}/layers/${id}.packed`;
/** Separate from the record, because it may change and may be lost. */
export const layerBlobsFile = (layout: Layout, id: LayerId) => `${layout.root}/layers/${id}.blobs`;
export const stacksDir = (layout: Layout) => `${layout.root}/stacks`;
export const imagesDir = (layout: Layout) => `${layout.root}/images`;
export const stackDir = (layout: Layout, name: StackName) => `${stacksDir(layout)}/${name}`;
/** Code packages, by tenant and name. */
export const packagesDir = (layout: Layout) => `${layout.root}/packages`;
/** The folder of packages without a tenant; no tenant can have this name. */
export const NO_TENANT = '_';
export const tenantPackagesDir = (layout: Layout, tenant: TenantName | null) =>
  `${packagesDir(layout)}/${tenant ?? NO_TENANT}`;
export const packageDir = (layout: Layout, tenant: TenantName | null, name: PackageName) =>
  `${tenantPackagesDir(layout, tenant)}/${name}`;
export const generationsDir = (layout: Layout) => `${layout.root}/generations`;
export const currentLink = (layout: Layout) => `${layout.root}/current`;
export const tmpDir = (layout: Layout) => `${layout.root}/tmp`;
export const locksDir = (layout: Layout) => `${layout.root}/locks`;
export const buildDir = (layout: Layout) => `${layout.root}/build`;
/** The cache of build steps. */
export const builtDir = (layout: Layout) => `${layout.root}/built`;
/** @param name `json`, `lock`, `log`, `code.erofs` or `task.erofs`. */
export const builtFile = (layout: Layout, key: BuildKey, name: string) =>
  `${layout.root}/built/${key}.${name}`;
export const runtimesDir = (layout: Layout) => `${layout.root}/runtimes`;
export const trustedKeysDir = (layout: Layout) => `${layout.root}/trusted-keys`;
export const scratchDir = (layout: Layout) => `${layout.root}/scratch`;
export const taskScratchDir = (layout: Layout, id: TaskId) => `${layout.root}/scratch/${id}`;
/** No task id can equal a name with this prefix. */
export const VOLUME_PREFIX = '.volume-';
/** Next to the volume's mount point. */
export const taskVolumeFile = (layout: Layout, id: TaskId) =>
  `${layout.root}/scratch/${VOLUME_PREFIX}${id}`;
/** The reports of tasks with `--log` or `-d`. */
export const reportsDir = (layout: Pick<Layout, 'root'>) => `${layout.root}/reports`;
export const reportDir = (layout: Pick<Layout, 'root'>, id: TaskId) =>
  `${layout.root}/reports/${id}`;
/** A scratch volume ready for the next task. */
export interface IdleVolumeName {
  /** The mount namespace in which the volume is mounted. */
  readonly mountNamespace: string;
  readonly limitBytes: number;
  /** Id of the last task that used the volume. */
  readonly id: TaskId;
}
/** No task id can equal a name with this prefix. */
export const IDLE_PREFIX = '.idle-';
export const idleVolumeFile = (
  layout: Layout,
  { mountNamespace, limitBytes, id }: IdleVolumeName,
) => `${layout.root}/scratch/${IDLE_PREFIX}${mountNamespace}-${limitBytes}-${id}`;

// under the run folder
export const mountedLayersDir = (layout: Layout) => `${layout.run}/layers`;
export const mountedLayerDir = (layout: Layout, id: LayerId) => `${layout.run}/layers/${id}`;
export const mountedVolumesDir = (layout: Layout) => `${layout.run}/volumes`;
export const mountedBuiltsDir = (layout: Layout) => `${layout.run}/built`;
export const mountedBuiltDir = (layout: Layout, key: BuildKey) => `${layout.run}/built/${key}`;
export const tasksDir = (layout: Layout) => `${layout.run}/tasks`;
export const taskDir = (layout: Pick<Layout, 'run'>, id: TaskId) => `${layout.run}/tasks/${id}`;
export const tenantsDir = (layout: Pick<Layout, 'run'>) => `${layout.run}/tenants`;
export const tenantDir = (layout: Pick<Layout, 'run'>, tenant: TenantName) =>
  `${layout.run}/tenants/${tenant}`;
/** Reservations of this machine's queue workers. */
export const workersDir = (layout: Pick<Layout, 'run'>) => `${layout.run}/workers`;
export const runtimeStateDir = (layout: Layout) => `${layout.run}/runtime`;
export const runtimeVersionsDir = (layout: Layout) => `${layout.run}/runtime-versions`;
export const runtimeCopiesDir = (layout: Layout) => `${layout.run}/runtime-copies`;
