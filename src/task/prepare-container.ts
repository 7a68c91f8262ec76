/**
 * Prepares a container: all of it but the runtime's own start, which the command comes with. Nothing here knows the command.
 * It undoes nothing: everything it may have made is named by the task's record, and removed by `removeTask`.
 */
import type { BindMount, IdRange, LayerSource } from '../core/mount.ts';
import { nextTurn } from '../core/pause.ts';
import { mountLayer } from '../layers/mount-layer.ts';
import { buildContainerConfig, type ContainerConfig } from '../oci/build-container-config.ts';
import { detachRootfs, mountRootfs } from '../rootfs/mount-rootfs.ts';
import { planRootfs, type RootfsPlan } from '../rootfs/plan-rootfs.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { netSysctl } from '../runtime/net-sysctl.ts';
import type { BindRequest, ContainerSpec } from '../spec/task-spec.ts';
import { adoptSlot, claimSlot, type Slot } from './admission/slot.ts';
import { adoptTaskDisk, openTaskDisk } from './disk/open-task-disk.ts';
import type { HandedDisk, TaskDisk } from './disk/task-disk.ts';
import type { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { ContainerPlan } from './plan-container.ts';
import { admitToTaskDir, type OwnRecord, type TaskHoldings } from './records/record.ts';
import { toFileBind, writeInputs } from './task-inputs.ts';

/** Everything of a container is there but its processes. Its mounts are attached until a command was created in it. */
export interface PreparedContainer {
  readonly slot: Slot;
  readonly disk: TaskDisk;
  readonly rootfs: RootfsPlan;
  readonly config: ContainerConfig;
  /** Resolves when the descriptors that the mounts were made of are closed. */
  readonly closed: Promise<void>;
}

/** What adopts a prepared container, beside its plan. */
export interface HandedContainer {
  /** Its number. */
  readonly slot: number;
  readonly disk: HandedDisk;
}

export interface PrepareContext {
  readonly installation: Installation;
  readonly clock: PhaseClock;
  /** Gives up: what is under way is ended, and the promise rejects. */
  readonly signal: AbortSignal;
  /** Gets what the task acquires, as soon as it is there; the caller gives it back, whatever happens next. */
  readonly holdings: Holdings;
  /** Is told what the task was given. */
  readonly record: OwnRecord;
}

/** The task's place beside others, where the policy or the task says so. */
export async function claimRoom(
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

/** Rejects with the error of the stage that failed. */
export async function prepareContainer(
  plan: ContainerPlan,
  { installation, clock, holdings, record }: PrepareContext,
): Promise<PreparedContainer> {
  const { system, layout } = installation;
  const { spec, places, files } = plan;
  const { userns, admission } = spec;
  const claim = { task: places.id, slots: admission.slots };
  const slot = holdings.add('slot', await claimSlot(system, layout, claim));
  if (userns !== 'host') admitToTaskDir(places, slot.ids);
  const space = { ...plan.disk, places, slot, userns };
  const disk = holdings.add('disk', await openTaskDisk(installation, space));
  record.note(toHoldings(slot, disk));
  await writeInputs(files, { places, ids: idsOf(plan, slot) });
  const rootfs = planContainerRootfs(plan, slot, installation);
  const { closed } = await mountRootfs(system, rootfs, { owner: ownerOf(plan, slot) });
  clock.enter('configure');
  try {
    await nextTurn();
    const config = configureContainer(plan, rootfs, { installation, slot });
    return { slot, disk, rootfs, config, closed };
  } catch (error) {
    await detachRootfs(system, rootfs);
    throw error;
  }
}

const toHoldings = ({ index }: Slot, { mechanism, loopDevice }: TaskDisk): TaskHoldings => ({
  slot: index,
  diskMechanism: mechanism,
  ...(loopDevice === undefined ? {} : { loopDevice }),
});

/** The container that another process has prepared after this plan, and handed over. */
export async function adoptContainer(
  plan: ContainerPlan,
  { slot: index, disk: handed }: HandedContainer,
  { installation, holdings }: PrepareContext,
): Promise<PreparedContainer> {
  const { system, layout } = installation;
  const { spec, places } = plan;
  const slot = holdings.add('slot', await adoptSlot(system, layout, { task: places.id, index }));
  const space = { ...plan.disk, places, slot, userns: spec.userns };
  const disk = holdings.add('disk', await adoptTaskDisk(installation, space, handed));
  const rootfs = planContainerRootfs(plan, slot, installation);
  const config = configureContainer(plan, rootfs, { installation, slot });
  return { slot, disk, rootfs, config, closed: Promise.resolve() };
}

/** Null with `--userns host`. */
export const idsOf = ({ spec }: ContainerPlan, slot: Slot): IdRange | null =>
  spec.userns === 'host' ? null : slot.ids;

export function ownerOf(plan: ContainerPlan, slot: Slot) {
  const ids = idsOf(plan, slot);
  return ids === null ? null : { ids, userNamespaceFd: slot.userNamespaceFd };
}

/** Of whom the files of a writable bind are depends on the command's user. Binds of the host's user namespace have the host's ids. */
export const needsOwner = ({ userns }: ContainerSpec, { readOnly }: BindRequest): boolean =>
  userns !== 'host' && !readOnly;

export const toBind = (mount: BindRequest): BindMount => ({ type: 'bind', ...mount });

/** Those that are there before the command, in their places. */
const bindsOf = ({ spec, files, places }: ContainerPlan): readonly BindMount[] => [
  ...spec.mounts.filter((mount) => !needsOwner(spec, mount)).map(toBind),
  ...files.map((file) => toFileBind(file, places)),
];

/** How many places for binds the container takes. */
export const countBinds = (plan: ContainerPlan): number => bindsOf(plan).length;

function planContainerRootfs(
  plan: ContainerPlan,
  slot: Slot,
  { system, layout }: Installation,
): RootfsPlan {
  const { spec, pinned, places, devices } = plan;
  const layers = pinned.image.layers.map(
    (id): LayerSource => ({ kind: 'mounted', path: mountLayer(system, layout, id) }),
  );
  return planRootfs({
    taskDir: places.taskDir,
    scratchDir: places.scratchDir,
    layers,
    binds: bindsOf(plan),
    devices,
    setuid: !spec.noNewPrivileges,
    sysfs: idsOf(plan, slot) !== null && spec.network === 'host',
  });
}

interface ContainerParts {
  readonly installation: Installation;
  readonly slot: Slot;
}

/** Cgroups are looked for only when they must be known: mostly that can be done beside the runtime. */
const needsCgroupVersion = ({ limits, oomGroup }: ContainerSpec) =>
  oomGroup || limits.cpuShares !== undefined;

function configureContainer(
  plan: ContainerPlan,
  { rootfs, binds, sysfs }: RootfsPlan,
  { installation, slot }: ContainerParts,
): ContainerConfig {
  const ids = idsOf(plan, slot);
  const { spec, places, template, runtime, devices, throttles, seccompProfile, initBinary } = plan;
  const { host } = installation;
  return buildContainerConfig({
    ...{ template, spec, rootfs, ids, binds, host, devices, throttles },
    id: places.id,
    cgroupsPath: places.cgroupsPath,
    locksBinds: driverOf(runtime).locksBinds,
    netSysctl: netSysctl(runtime, host),
    sysfs,
    ...(needsCgroupVersion(spec) ? { cgroupVersion: installation.cgroups.version } : {}),
    seccompProfile,
    initBinary,
  });
}
