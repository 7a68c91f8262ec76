/** What makes a task's container. Nothing here knows the command: a container can be prepared before there is one. */

import { existsSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import type { TaskDevice } from '../core/mount.ts';
import type { DeviceThrottle } from '../oci/build-resources.ts';
import type { BundleTemplate } from '../oci/bundle-template.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { INIT_CANDIDATES } from '../oci/task-paths.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { requireAllowedBundle } from '../spec/permissions.ts';
import type { Policy } from '../spec/policy.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { ContainerSpec } from '../spec/task-spec.ts';
import { type PinnedImage, STACK_LABELS } from '../stacks/image.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';
import type { TaskDiskRequest } from './disk/task-disk.ts';
import { toDiskLimit } from './disk/task-disk.ts';
import type { Installation } from './installation.ts';
import type { TaskPlaces } from './records/task-places.ts';
import { requireHeldBinds } from './require-held-binds.ts';
import type { DevicesContext } from './resolve-devices.ts';
import { readSeccomp } from './resolve-inputs.ts';
import { planHostFiles, type TaskFile } from './task-inputs.ts';

export interface ContainerPlan {
  readonly spec: ContainerSpec;
  readonly pinned: PinnedImage;
  readonly template: BundleTemplate;
  readonly runtime: Runtime;
  readonly hostname: string;
  /** Files that stand for the host's. */
  readonly files: readonly TaskFile[];
  /** What the file named by `spec.seccomp` holds. */
  readonly seccompProfile?: SeccompProfile;
  /** Host path of the init program, with `spec.init`. */
  readonly initBinary?: string;
  /** The template's, and those that the task asks for, in their place where they have the same. */
  readonly devices: readonly TaskDevice[];
  readonly throttles: readonly DeviceThrottle[];
  readonly disk: DiskPlan;
  /** The owner of files that the task writes into a bind whose source is root's. */
  readonly bindOwner: number;
  readonly places: TaskPlaces;
}

export type DiskPlan = Pick<TaskDiskRequest, 'mechanism' | 'limit' | 'isUsual'>;

export interface ContainerContext {
  readonly installation: Installation;
  readonly policy: Policy;
  readonly pinned: PinnedImage;
  readonly places: TaskPlaces;
  /** True: the bundle template that the image's label names needs no permission of the policy. */
  readonly trustsImageBundle: boolean;
}

/** Throws as `planTask`. */
export async function planContainer(
  spec: ContainerSpec,
  { installation, policy, pinned, places, trustsImageBundle }: ContainerContext,
): Promise<ContainerPlan> {
  const bundle = spec.bundle ?? pinned.image.config.labels[STACK_LABELS.bundle] ?? 'default';
  if (spec.bundle !== undefined || !trustsImageBundle) requireAllowedBundle(policy.allow, bundle);
  const hostname = spec.hostname ?? places.id;
  const template = loadTemplate(bundle);
  const runtime = await resolveRuntime(spec.runtime, { layout: installation.layout });
  requireHeldBinds({ spec, template, runtime });
  return {
    spec,
    pinned,
    template,
    runtime,
    ...(await readSeccomp(spec.seccomp, policy)),
    ...(spec.init ? { initBinary: findInitBinary() } : {}),
    hostname,
    files: planHostFiles(spec, hostname),
    devices: await planDevices(spec, { template, policy, runtime }),
    throttles: await planThrottles(installation, spec),
    disk: planDisk(spec, policy),
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
