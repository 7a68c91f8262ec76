/** Plans a task's container. Nothing here depends on the command, so a container can be prepared before the command is known. */

import { existsSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { TaskDevice } from '../core/mount.ts';
import type { DeviceThrottle } from '../oci/build-config.ts';
import { INIT_CANDIDATES } from '../oci/build-mounts.ts';
import { resolveCapabilities } from '../oci/build-process.ts';
import type { BundleTemplate } from '../oci/bundle-template.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import { prepareTaskRuntime } from '../runtime/resolve-runtime.ts';
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
  /** The parsed profile from the file that `spec.seccomp` names. */
  readonly seccompProfile?: SeccompProfile | undefined;
  /** The host path of the init program, with `spec.init`. */
  readonly initBinary?: string;
  /** The template's devices and the task's own, which replace those at the same path. */
  readonly devices: readonly TaskDevice[];
  readonly throttles: readonly DeviceThrottle[];
  readonly disk: Pick<TaskDiskRequest, 'mechanism' | 'limit' | 'isUsual'>;
  /** Whether the task may mount in its own mount namespace. */
  readonly mayMount: boolean;
  /** The owner of files that the task writes into a bind whose source belongs to root. */
  readonly bindOwner: number;
  readonly places: TaskPlaces;
}

export interface ContainerContext {
  readonly installation: Installation;
  readonly policy: Policy;
  readonly pinned: PinnedImage;
  readonly places: TaskPlaces;
  /** Whether the bundle template in the image's label needs no permission from the policy. */
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
  const runtime = await prepareTaskRuntime(spec.runtime, { layout: installation.layout });
  requireHeldBinds(spec, template, runtime);
  return {
    spec,
    pinned,
    template,
    runtime,
    seccompProfile: await planSeccomp(spec, policy),
    ...(spec.init ? { initBinary: findInitBinary() } : {}),
    hostname,
    files: planHostFiles(spec, hostname),
    devices: await planDevices(spec, { template, policy, runtime }),
    throttles: await planThrottles(installation, spec),
    disk: {
      mechanism: policy.disk.mechanism,
      limit: toDiskLimit(spec.limits.diskBytes),
      isUsual: spec.limits.diskBytes === policy.defaults.diskBytes,
    },
    mayMount: mayMount(spec, template),
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
): Promise<SeccompProfile | undefined> {
  if (seccomp === undefined || seccomp === 'unconfined') return undefined;
  const { readSeccomp } = await import('./resolve-inputs.ts');
  return readSeccomp(seccomp, policy);
}

function findInitBinary(): string {
  const found = INIT_CANDIDATES.find((path) => existsSync(path));
  if (found !== undefined) return requireTrustedPath(found, 'use init program');
  const message = 'find an init program for --init: none is installed';
  const hint = 'install the package tini';
  throw new StackshimError('ERR_STACKSHIM_TOOL_MISSING', message, { hint });
}

/** Whether the task has the capability to mount in a mount namespace of its own user namespace. */
function mayMount(
  spec: Pick<ContainerSpec, 'capAdd' | 'capDrop'>,
  template: BundleTemplate,
): boolean {
  const { bounding } = template.config.process.capabilities;
  return resolveCapabilities(bounding, spec).includes('CAP_SYS_ADMIN');
}

/** Throws ERR_STACKSHIM_SPEC_INVALID if the task could remount a read-only bind writable: it may mount, and its runtime locks no flags. */
export function requireHeldBinds(
  spec: Pick<ContainerSpec, 'mounts' | 'capAdd' | 'capDrop'>,
  template: BundleTemplate,
  runtime: Pick<Runtime, 'kind'>,
): void {
  if (driverOf(runtime).locksBinds) return;
  const bind = spec.mounts.find(({ readOnly }) => readOnly);
  if (bind === undefined || !mayMount(spec, template)) return;
  const { source } = bind;
  const message = `mounts: with ${runtime.kind} a task with CAP_SYS_ADMIN could make ${source} writable`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
    details: { field: 'mounts', value: source },
    hint: 'use runc, or leave out the capability or the read-only bind',
  });
}
