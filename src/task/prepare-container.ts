/**
 * Prepares a container completely, except for the runtime, which starts when there is a command. Nothing here depends on
 * the command. Undoes nothing on failure: the task's record names everything that may exist, and `removeTask` removes it.
 */
import { mountedLayerDir } from '../core/layout.ts';
import type { BindMount, IdRange, LayerSource } from '../core/mount.ts';
import { nextTurn } from '../core/pause.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { buildContainerConfig, type ContainerConfig, netSysctl } from '../oci/build-config.ts';
import { detachRootfs, mountRootfs, withoutBindsInRootfs } from '../rootfs/mount-rootfs.ts';
import { planRootfs, type RootfsPlan, rootfsTarget } from '../rootfs/plan-rootfs.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { isAtOrBelow } from '../spec/parse-path.ts';
import type { BindRequest, ContainerSpec } from '../spec/task-spec.ts';
import { isLayerMounted } from '../store/layers/mounted-layers.ts';
import { adoptSlot, claimSlot, type Slot } from './admission/slot.ts';
import { adoptTaskDisk, openTaskDisk } from './disk/open-task-disk.ts';
import type { HandedDisk, TaskDisk } from './disk/task-disk.ts';
import type { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { ContainerPlan } from './plan-container.ts';
import { admitToTaskDir, type OwnRecord, type TaskHoldings } from './records/record.ts';
import { type TaskFile, toFileBind, writeInputs } from './task-inputs.ts';

/** A container without processes. Its mounts stay attached until a command is created in it. */
export interface PreparedContainer {
  readonly slot: Slot;
  readonly disk: TaskDisk;
  readonly rootfs: RootfsPlan;
  readonly config: ContainerConfig;
  /** Resolves when the descriptors of the new mounts are closed. */
  readonly closed: Promise<void>;
}

/** What another process needs, besides the plan, to take over a prepared container. */
export interface HandedContainer {
  /** The slot's number. */
  readonly slot: number;
  readonly disk: HandedDisk;
}

export interface PrepareContext {
  readonly installation: Installation;
  readonly clock: PhaseClock;
  /** An abort ends the current step, and the promise rejects. */
  readonly signal: AbortSignal;
  /** Receives each holding of the task at once. The caller releases them all, whatever happens next. */
  readonly holdings: Holdings;
  /** Stores which resources the task acquired. */
  readonly record: OwnRecord;
}

/** Admits the task: checks the policy's reserves and takes a seat in the task's tenant, if there are any. */
export async function claimSeat(
  { spec, places }: ContainerPlan,
  { installation, holdings, signal }: PrepareContext,
): Promise<void> {
  const { tenant, admission } = spec;
  const { terms, reserves } = admission;
  if (reserves.memoryBytes !== undefined || reserves.diskBytes !== undefined) {
    const { requireReserves } = await import('./admission/require-reserves.ts');
    requireReserves(installation.layout.root, spec);
  }
  if (tenant === undefined || terms === undefined) return;
  const { joinTenant } = await import('./admission/join-tenant.ts');
  const request = { tenant, terms, task: places.id, signal };
  holdings.add('seat', await joinTenant(installation, request));
}

/**
 * Mounts those layers of the image that no task of this boot has used. Call it before
 * {@link prepareContainer}: it may load code, and nothing is loaded while a runtime works.
 */
export async function mountLayers(
  { pinned }: ContainerPlan,
  { system, layout }: Installation,
): Promise<void> {
  const missing = pinned.image.layers.filter((id) => !isLayerMounted(layout, id));
  if (missing.length === 0) return;
  const { mountLayer } = await import('../store/layers/mount-layer.ts');
  for (const id of missing) mountLayer(system, layout, id);
}

/** Prepares the container. Rejects with the error of the stage that failed. */
export async function prepareContainer(
  plan: ContainerPlan,
  { installation, clock, holdings, record }: PrepareContext,
): Promise<PreparedContainer> {
  const { system, layout } = installation;
  const { spec, places, files } = plan;
  const { userns, admission } = spec;
  const slot = holdings.add('slot', await claimSlot(system, layout, places.id, admission.slots));
  if (userns !== 'host') admitToTaskDir(places, slot.ids);
  const space = { ...plan.disk, places, slot, userns };
  const disk = holdings.add('disk', await openTaskDisk(installation, space));
  record.note(toHoldings(slot, disk));
  await writeInputs(files, places, idsOf(plan, slot));
  const rootfs = planContainerRootfs(plan, slot, installation);
  const { closed } = await mountRootfs(system, rootfs, { owner: ownerOf(plan, slot) });
  clock.enter('configure');
  try {
    await nextTurn();
    const made = withoutBindsInRootfs(rootfs);
    const config = configureContainer(plan, made, installation, slot);
    return { slot, disk, rootfs: made, config, closed };
  } catch (error) {
    await detachRootfs(system, rootfs);
    throw error;
  }
}

function toHoldings({ index }: Slot, disk: TaskDisk): TaskHoldings {
  const { mechanism, loopDevice, descriptor, project } = disk;
  const ofDisk = { loopDevice, diskDescriptor: descriptor, diskProject: project };
  return withoutUndefined({ slot: index, diskMechanism: mechanism, ...ofDisk });
}

/** Takes over a container that another process prepared from this plan. */
export async function adoptContainer(
  plan: ContainerPlan,
  { slot: index, disk: handed }: HandedContainer,
  { installation, holdings }: PrepareContext,
): Promise<PreparedContainer> {
  const { system, layout } = installation;
  const { spec, places } = plan;
  const slot = holdings.add('slot', await adoptSlot(system, layout, places.id, index));
  const space = { ...plan.disk, places, slot, userns: spec.userns };
  const disk = holdings.add('disk', await adoptTaskDisk(installation, space, handed));
  const rootfs = withoutBindsInRootfs(planContainerRootfs(plan, slot, installation));
  const config = configureContainer(plan, rootfs, installation, slot);
  return { slot, disk, rootfs, config, closed: Promise.resolve() };
}

/** The task's range of ids; null with `--userns host`. */
export const idsOf = ({ spec }: ContainerPlan, slot: Slot): IdRange | null =>
  spec.userns === 'host' ? null : slot.ids;

export function ownerOf(plan: ContainerPlan, slot: Slot) {
  const ids = idsOf(plan, slot);
  return ids === null ? null : { ids, userNamespaceFd: slot.userNamespaceFd };
}

/** Whether a bind's owner mapping depends on the command's user: it does for writable binds, except in the host's user namespace. */
export const needsOwner = ({ userns }: ContainerSpec, { readOnly }: BindRequest): boolean =>
  userns !== 'host' && !readOnly;

export const toBind = (mount: BindRequest): BindMount => ({ type: 'bind', ...mount });

/** The binds that do not depend on the command. */
const bindsOf = (plan: ContainerPlan): readonly BindMount[] => [
  ...plan.spec.mounts.filter((mount) => !needsOwner(plan.spec, mount)).map(toBind),
  ...plan.files.map((file) => toHostFileBind(file, plan)),
];

/**
 * Binds a file, directly over the image's file if the task cannot see a difference: each bind costs the runtime 0.2 ms. The
 * task's mounts could hide that mount, also through a link in the image; a task that may mount could not bind the file's folder.
 */
function toHostFileBind(file: TaskFile, plan: ContainerPlan): BindMount {
  const { spec, places, template, runtime } = plan;
  const bind = toFileBind(file, places);
  const isSeen =
    spec.mounts.length === 0 &&
    spec.tmpfs.length === 0 &&
    !template.config.mounts.some(({ destination }) => isAtOrBelow(file.target, destination));
  if (!isSeen || plan.mayMount || !driverOf(runtime).keepsMountsOfRootfs) return bind;
  return { ...bind, over: { rootfs: rootfsTarget(places), file: file.target.slice(1) } };
}

/** The number of bind targets that the container uses. */
export const countBinds = (plan: ContainerPlan): number => bindsOf(plan).length;

function planContainerRootfs(
  plan: ContainerPlan,
  slot: Slot,
  { layout }: Installation,
): RootfsPlan {
  const { spec, pinned, places, devices } = plan;
  const layers = pinned.image.layers.map(
    (id): LayerSource => ({ kind: 'mounted', path: mountedLayerDir(layout, id) }),
  );
  return planRootfs({
    taskDir: places.taskDir,
    scratchDir: places.scratchDir,
    layers,
    binds: bindsOf(plan),
    devices,
    setuid: !spec.noNewPrivileges,
    dev: idsOf(plan, slot) !== null && driverOf(plan.runtime).gainsFromDev,
    sysfs: idsOf(plan, slot) !== null && spec.network === 'host',
  });
}

/** Whether the configuration depends on the cgroup version. If not, cgroups are looked up later, while the runtime works. */
const needsCgroupVersion = ({ limits, oomGroup }: ContainerSpec) =>
  oomGroup || limits.cpuShares !== undefined;

function configureContainer(
  plan: ContainerPlan,
  { rootfs, binds, dev, sysfs }: RootfsPlan,
  installation: Installation,
  slot: Slot,
): ContainerConfig {
  const ids = idsOf(plan, slot);
  const { spec, places, template, runtime, devices, throttles, seccompProfile, initBinary } = plan;
  const { host } = installation;
  return buildContainerConfig({
    ...{ template, spec, rootfs, ids, binds, host, devices, throttles },
    id: places.id,
    cgroupsPath: places.cgroupsPath,
    locksBinds: driverOf(runtime).locksBinds,
    netSysctl: driverOf(runtime).usesHostSockets ? netSysctl(host) : {},
    dev,
    sysfs,
    ...(needsCgroupVersion(spec) ? { cgroupVersion: installation.cgroups.version } : {}),
    seccompProfile,
    initBinary,
  });
}
