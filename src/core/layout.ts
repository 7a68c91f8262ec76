/** Where everything lies on disk: pure path arithmetic over three folders. docs/on-disk-layout.md describes it. */
import type { LayerId, StackName, TaskId, TenantName } from './ids.ts';

export interface Layout {
  /** Durable state: `/var/lib/stackshim` (STACKSHIM_ROOT). */
  readonly root: string;
  /** State of this boot: `/run/stackshim` (STACKSHIM_RUN). */
  readonly run: string;
  /** The operator's policy file: `/etc/stackshim/policy.json` (STACKSHIM_POLICY). */
  readonly policyFile: string;
  /** True for the default path alone: nobody named it, so a machine without a policy has none. */
  readonly policyIsOptional?: boolean;
  /** Shared by every installation of the machine: uid ranges must not meet. Only root can write to its parent. */
  readonly slots: string;
  /** The same of earlier versions: while it is there, until the next boot, tasks of theirs may have slots. */
  readonly olderSlots?: string;
}

/** Which installation is meant. What is left out the environment says, then the default. */
export interface LayoutOptions {
  /** Durable state: STACKSHIM_ROOT, `/var/lib/stackshim`. */
  readonly root?: string;
  /** State of this boot: STACKSHIM_RUN, `/run/stackshim`. */
  readonly run?: string;
  /** STACKSHIM_POLICY, `/etc/stackshim/policy.json`. A file that is named here or there must exist; the default need not. */
  readonly policyFile?: string;
}

/** The layout named by `options`, else by the environment, else the default one. */
export function layoutFrom(
  options: LayoutOptions,
  env: Readonly<Record<string, string | undefined>>,
): Layout {
  const policyFile = options.policyFile ?? env['STACKSHIM_POLICY'];
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
/** Beside the record: it may change, and be lost. */
export const layerBlobsFile = (layout: Layout, id: LayerId) => `${layout.root}/layers/${id}.blobs`;
export const stacksDir = (layout: Layout) => `${layout.root}/stacks`;
export const imagesDir = (layout: Layout) => `${layout.root}/images`;
export const stackDir = (layout: Layout, name: StackName) => `${stacksDir(layout)}/${name}`;
export const generationsDir = (layout: Layout) => `${layout.root}/generations`;
export const currentLink = (layout: Layout) => `${layout.root}/current`;
export const tmpDir = (layout: Layout) => `${layout.root}/tmp`;
export const locksDir = (layout: Layout) => `${layout.root}/locks`;
export const buildDir = (layout: Layout) => `${layout.root}/build`;
export const runtimesDir = (layout: Layout) => `${layout.root}/runtimes`;
export const trustedKeysDir = (layout: Layout) => `${layout.root}/trusted-keys`;
export const scratchDir = (layout: Layout) => `${layout.root}/scratch`;
export const taskScratchDir = (layout: Layout, id: TaskId) => `${layout.root}/scratch/${id}`;
/** Of a name that is no task's. */
export const VOLUME_PREFIX = '.volume-';
/** Beside the folder where the volume is mounted. */
export const taskVolumeFile = (layout: Layout, id: TaskId) =>
  `${layout.root}/scratch/${VOLUME_PREFIX}${id}`;
/** A scratch volume that waits for a task. */
export interface IdleVolumeName {
  /** Where its mount is seen. */
  readonly mountNamespace: string;
  readonly limitBytes: number;
  /** Of the task that had it last. */
  readonly id: TaskId;
}
/** Of a name that is no task's. */
export const IDLE_PREFIX = '.idle-';
export const idleVolumeFile = (
  layout: Layout,
  { mountNamespace, limitBytes, id }: IdleVolumeName,
) => `${layout.root}/scratch/${IDLE_PREFIX}${mountNamespace}-${limitBytes}-${id}`;

// under the run folder
export const mountedLayersDir = (layout: Layout) => `${layout.run}/layers`;
export const mountedLayerDir = (layout: Layout, id: LayerId) => `${layout.run}/layers/${id}`;
export const mountedVolumesDir = (layout: Layout) => `${layout.run}/volumes`;
export const tasksDir = (layout: Layout) => `${layout.run}/tasks`;
export const taskDir = (layout: Pick<Layout, 'run'>, id: TaskId) => `${layout.run}/tasks/${id}`;
export const tenantsDir = (layout: Pick<Layout, 'run'>) => `${layout.run}/tenants`;
export const tenantDir = (layout: Pick<Layout, 'run'>, tenant: TenantName) =>
  `${layout.run}/tenants/${tenant}`;
export const runtimeStateDir = (layout: Layout) => `${layout.run}/runtime`;
export const runtimeVersionsDir = (layout: Layout) => `${layout.run}/runtime-versions`;
