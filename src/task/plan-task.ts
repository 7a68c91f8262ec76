/** From outside data to a plan: parsed, admitted, resolved. Nothing has happened yet, so everything that is wrong is thrown. */
import { existsSync, statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { StackshimError } from '../core/errors.ts';
import { toTaskId } from '../core/ids.ts';
import { type Layout, scratchDir } from '../core/layout.ts';
import type { TaskDevice } from '../core/mount.ts';
import type { DeviceThrottle } from '../oci/build-resources.ts';
import type { BundleTemplate } from '../oci/bundle-template.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { resolveCommand } from '../oci/resolve-command.ts';
import { INIT_CANDIDATES } from '../oci/task-paths.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { admitTaskSpec } from '../spec/admit-task-spec.ts';
import { deniedField } from '../spec/denied-field.ts';
import { toSignalNumber } from '../spec/parse-signal.ts';
import { parseTaskSpec } from '../spec/parse-task-spec.ts';
import { requireAllowedBundle } from '../spec/permissions.ts';
import type { Policy } from '../spec/policy.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import { showBytes } from '../spec/show-quantity.ts';
import type { TaskOrigin } from '../spec/task-input.ts';
import type { AdmittedTaskSpec } from '../spec/task-spec.ts';
import { type PinnedImage, STACK_LABELS } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { nearestExisting } from '../sys/files.ts';
import type { DiskAmount } from '../sys/system.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';
import { toDiskLimit } from './disk/task-disk.ts';
import type { Installation } from './installation.ts';
import { readPolicy } from './read-policy.ts';
import { type TaskPlaces, taskPlaces } from './records/task-places.ts';
import { requireHeldBinds } from './require-held-binds.ts';
import type { DevicesContext } from './resolve-devices.ts';
import { readSeccomp, withRealInputs } from './resolve-inputs.ts';
import { planTaskFiles, type TaskFile } from './task-inputs.ts';

export interface TaskPlan {
  readonly spec: AdmittedTaskSpec;
  readonly pinned: PinnedImage;
  readonly template: BundleTemplate;
  readonly runtime: Runtime;
  /** What to run, entrypoint included; never empty. */
  readonly command: readonly string[];
  /** What a stop begins with. */
  readonly stopSignal: number;
  readonly hostname: string;
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

export interface DiskPlan {
  readonly mechanism: Policy['disk']['mechanism'];
  readonly limit: DiskAmount;
  /** Whether the limit is what a task gets that names none. */
  readonly isUsual: boolean;
}

const { SIGTERM } = constants.signals;

interface PlanOptions {
  readonly trustsImageBundle?: boolean;
  readonly origin?: TaskOrigin;
}

/** Throws a {@link StackshimError} of kind invalid, not_found, denied or unavailable; has no effect. */
export async function planTask(
  installation: Installation,
  input: unknown,
  { trustsImageBundle = false, origin = 'caller' }: PlanOptions = {},
): Promise<TaskPlan> {
  const { layout, host } = installation;
  const parsed = parseTaskSpec(input, origin);
  if (!host.isRoot) {
    throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', 'run task: needs root');
  }
  const policy = readPolicy(layout);
  const spec = withRealInputs(admitTaskSpec(parsed, policy, host), policy);
  if (parsed.limits.diskBytes !== undefined) requireFreeSpace(layout, parsed.limits.diskBytes);
  const pinned = resolveStack(layout, spec.stack);
  const { config } = pinned.image;
  const bundle = spec.bundle ?? config.labels[STACK_LABELS.bundle] ?? 'default';
  if (spec.bundle !== undefined || !trustsImageBundle) requireAllowedBundle(policy.allow, bundle);
  const places = taskPlaces(
    layout,
    spec.id ?? toTaskId(crypto.getRandomValues(new Uint8Array(13))),
    spec.tenant,
  );
  const hostname = spec.hostname ?? places.id;
  const template = loadTemplate(bundle);
  const runtime = await resolveRuntime(spec.runtime, { layout });
  requireHeldBinds({ spec, template, runtime });
  return {
    spec,
    pinned,
    template,
    runtime,
    command: resolveCommand(config, spec),
    stopSignal: spec.stopSignal ?? toSignalNumber(config.stopSignal ?? '') ?? SIGTERM,
    ...(await readSeccomp(spec.seccomp, policy)),
    ...(spec.init ? { initBinary: findInitBinary() } : {}),
    hostname,
    files: planTaskFiles(spec, hostname),
    devices: await planDevices(spec, { template, policy, runtime }),
    throttles: await planThrottles(installation, spec),
    disk: planDisk(spec, policy),
    bindOwner: policy.binds.owner,
    places,
  };
}

async function planDevices(
  { devices }: AdmittedTaskSpec,
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
  { throttles }: AdmittedTaskSpec,
): Promise<readonly DeviceThrottle[]> {
  if (throttles.length === 0) return [];
  const { resolveThrottles } = await import('./resolve-throttles.ts');
  return resolveThrottles(throttles, installation.cgroups);
}

const planDisk = ({ limits }: AdmittedTaskSpec, { defaults, disk }: Policy): DiskPlan => ({
  mechanism: disk.mechanism,
  limit: toDiskLimit(limits.diskBytes),
  isUsual: limits.diskBytes === defaults.diskBytes,
});

/**
 * A limit that the host's disk could never hold is a mistake of the caller's; one that it cannot hold now may do later. What is usual
 * may be more than is free: most tasks use little.
 */
function requireFreeSpace(layout: Layout, asked: number): void {
  const folder = scratchDir(layout);
  const { blocks, bavail, bsize } = statfsSync(nearestExisting(folder));
  const [allowed, free] = [blocks * bsize, bavail * bsize];
  if (asked > allowed) {
    const reason = `above the ${showBytes(allowed)} of the filesystem of ${folder}`;
    throw deniedField({ field: 'disk', asked, shown: showBytes(asked), allowed, reason });
  }
  if (asked <= free) return;
  throw new StackshimError(
    'ERR_STACKSHIM_DISK_FULL',
    `disk ${showBytes(asked)}: only ${showBytes(free)} are free for ${folder}`,
    {
      hint: 'free disk space (stackshim gc), or ask for less',
      details: { field: 'disk', asked, free },
    },
  );
}

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
