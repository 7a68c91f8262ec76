/** Everything that determines a task's container. Nothing here depends on the command, so a container can be prepared before the command is known. */

import { existsSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { TaskDevice } from '../core/mount.ts';
import type { DeviceThrottle } from '../oci/build-config.ts';
import { INIT_CANDIDATES } from '../oci/build-mounts.ts';
import { resolveCapabilities } from '../oci/build-process.ts';
import type { BundleTemplate } from '../oci/bundle-template.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { resolveTaskRuntime } from '../runtime/resolve-runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type Policy, requireAllowed } from '../spec/policy.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { ContainerSpec } from '../spec/task-spec.ts';
import { type PinnedImage, STACK_LABELS } from '../store/images/image.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';
import { toDiskLimit } from './disk/open-task-disk.ts';
import type { TaskDiskRequest } from './disk/task-disk.ts';
import type { Installation } from './installation.ts';
import type { TaskPlaces } from './records/task-places.ts';
import type { DevicesContext } from './resolve-devices.ts';
import { planHostFiles, type TaskFile } from './task-inputs.ts';

export interface ContainerPlan {
  readonly spec: ContainerSpec;
  readonly pinned: PinnedImage;
  readonly template: BundleTemplate;
  readonly runtime: Runtime;
  readonly hostname: string;
  /** Files that replace the host's. */
  readonly files: readonly TaskFile[];
  /** The parsed content of the file that `spec.seccomp` names. */
  readonly seccompProfile?: SeccompProfile;
  /** Host path of the init program, with `spec.init`. */
  readonly initBinary?: string;
  /** The template's devices and the task's; a device of the task replaces one of the template at the same path. */
  readonly devices: readonly TaskDevice[];
  readonly throttles: readonly DeviceThrottle[];
  readonly disk: DiskPlan;
  /** Whether the task may mount in its own mount namespace. */
  readonly mayMount: boolean;
  /** The owner of files that the task writes into a bind whose source belongs to root. */
  readonly bindOwner: number;
  readonly places: TaskPlaces;
}

export type DiskPlan = Pick<TaskDiskRequest, 'mechanism' | 'limit' | 'isUsual'>;

export interface ContainerContext {
  readonly installation: Installation;
  readonly policy: Policy;
  readonly pinned: PinnedImage;
  readonly places: TaskPlaces;
  /** Whether the bundle template in the image's label needs no permission of the policy. */
  readonly trustsImageBundle: boolean;
}

/** Plans the container. Throws like `planTask`. */
export async function planContainer(
  spec: ContainerSpec,
  { installation, policy, pinned, places, trustsImageBundle }: ContainerContext,
): Promise<ContainerPlan> {
  const bundle = spec.bundle ?? pinned.image.config.labels[STACK_LABELS.bundle] ?? 'default';
  if (spec.bundle !== undefined || !trustsImageBundle) {
    requireAllowed(policy.allow, 'bundles', bundle, 'bundle');
  }
  const hostname = spec.hostname ?? places.id;
  const template = loadTemplate(bundle);
  const runtime = await resolveTaskRuntime(spec.runtime, { layout: installation.layout });
  requireHeldBinds({ spec, template, runtime });
  return {
    spec,
    pinned,
    template,
    runtime,
    ...(await planSeccomp(spec, policy)),
    ...(spec.init ? { initBinary: findInitBinary() } : {}),
    hostname,
    files: planHostFiles(spec, hostname),
    devices: await planDevices(spec, { template, policy, runtime }),
    throttles: await planThrottles(installation, spec),
    disk: planDisk(spec, policy),
    mayMount: mayMount({ spec, template }),
    bindOwner: policy.binds.owner,
    places,
  };
}

async function planDevices(
  { devices }: ContainerSpec,
  { template, ...context }: DevicesContext & { readonly template: BundleTemplate },
): Promise<readonly TaskDevice[]> {
  if (devices.length === 0) return template.devices;
  const { resolveDevices } = await import('./resolve-devices.ts');
  const asked = resolveDevices(devices, context);
  const others = template.devices.filter(({ path }) => !asked.some((own) => own.path === path));
  return [...others, ...asked];
}

async function planThrottles(
  installation: Installation,
  { throttles }: ContainerSpec,
): Promise<readonly DeviceThrottle[]> {
  if (throttles.length === 0) return [];
  const { resolveThrottles } = await import('./resolve-throttles.ts');
  return resolveThrottles(throttles, installation.cgroups);
}

async function planSeccomp(
  { seccomp }: ContainerSpec,
  policy: Policy,
): Promise<Pick<ContainerPlan, 'seccompProfile'>> {
  if (seccomp === undefined || seccomp === 'unconfined') return {};
  const { readSeccomp } = await import('./resolve-inputs.ts');
  return { seccompProfile: await readSeccomp(seccomp, policy) };
}

const planDisk = ({ limits }: ContainerSpec, { defaults, disk }: Policy): DiskPlan => ({
  mechanism: disk.mechanism,
  limit: toDiskLimit(limits.diskBytes),
  isUsual: limits.diskBytes === defaults.diskBytes,
});

function findInitBinary(): string {
  const found = INIT_CANDIDATES.find((path) => existsSync(path));
  if (found !== undefined) return requireTrustedPath(found, 'use init program');
  throw new StackshimError(
    'ERR_STACKSHIM_TOOL_MISSING',
    'find an init program for --init: none is installed',
    {
      hint: 'install the package tini',
    },
  );
}

interface CapabilitiesInput {
  readonly spec: Pick<ContainerSpec, 'capAdd' | 'capDrop'>;
  readonly template: BundleTemplate;
}

/** Whether the task may mount in a mount namespace of its own user namespace. */
function mayMount({ spec, template }: CapabilitiesInput): boolean {
  const { bounding } = template.config.process.capabilities;
  return resolveCapabilities(bounding, spec).includes('CAP_SYS_ADMIN');
}

export interface HeldBindsInput extends CapabilitiesInput {
  readonly spec: Pick<ContainerSpec, 'mounts' | 'capAdd' | 'capDrop'>;
  readonly runtime: Pick<Runtime, 'kind'>;
}

/** A task that may mount can remount a bind writable, unless the runtime locks its flags. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function requireHeldBinds({ spec, template, runtime }: HeldBindsInput): void {
  if (driverOf(runtime).locksBinds) return;
  const bind = spec.mounts.find(({ readOnly }) => readOnly);
  if (bind === undefined || !mayMount({ spec, template })) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `mounts: with ${runtime.kind} a task with CAP_SYS_ADMIN could make ${bind.source} writable`,
    {
      details: { field: 'mounts', value: bind.source },
      hint: 'use runc, or leave out the capability or the read-only bind',
    },
  );
}
