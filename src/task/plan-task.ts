/** Turns outside data into a plan: parsed, admitted, resolved. Planning has no effects, so every fault is thrown. */
import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { StackshimError } from '../core/errors.ts';
import { type TaskId, toTaskId } from '../core/ids.ts';
import { type Layout, scratchDir } from '../core/layout.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { resolveCommand } from '../oci/build-process.ts';
import { admitTaskSpec } from '../spec/admit-task-spec.ts';
import { deniedField, invalidField } from '../spec/field-errors.ts';
import { isCodePath, parsePackageReference, toSignalNumber } from '../spec/parse-command.ts';
import { asksForAccess, NO_ACCESS, readTaskInput, toTaskSpec } from '../spec/parse-task-spec.ts';
import type { Policy } from '../spec/policy.ts';
import { showBytes } from '../spec/quantities.ts';
import type { TaskInput, TaskOrigin } from '../spec/task-input.ts';
import type {
  AdmittedTaskSpec,
  CommandSpec,
  ContainerSpec,
  StackReference,
  TaskSpec,
} from '../spec/task-spec.ts';
import type { PinnedImage } from '../store/images/image.ts';
import type { PinnedPackage } from '../store/packages/package.ts';
import { findCurrentImage } from '../store/stacks/current-image.ts';
import { nearestExisting } from '../sys/files.ts';
import { type Installation, readPolicy } from './installation.ts';
import type { NamedInputs, NamedTask } from './name-inputs.ts';
import { type ContainerContext, type ContainerPlan, planContainer } from './plan-container.ts';
import type { ReceivedInputs } from './receive-inputs.ts';
import { taskPlaces } from './records/task-places.ts';
import { planInputFiles, type TaskFile } from './task-inputs.ts';

export interface TaskPlan {
  readonly container: ContainerPlan;
  readonly command: CommandPlan;
}

export interface PlanOptions {
  readonly trustsImageBundle?: boolean;
  readonly origin?: TaskOrigin;
  /** Fields of the calling program, which replace those of the input. */
  readonly fields?: Partial<TaskInput> | undefined;
  /** The task's id, which replaces an id in the input. */
  readonly id?: TaskId | undefined;
  /** Files received from the caller, in place of fields of the input. */
  readonly received?: ReceivedInputs | undefined;
}

/** Plans a task, without effects. Throws a {@link StackshimError} of kind invalid, not_found, denied, unavailable or exhausted. */
export async function planTask(
  installation: Installation,
  input: unknown,
  options: PlanOptions = {},
): Promise<TaskPlan> {
  const { spec, packaged, context } = await readTask(installation, input, options);
  const parts = splitSpec(spec);
  const container = await planContainer(parts.container, context);
  const hasCode = (parts.command.code ?? parts.command.build ?? packaged) !== undefined;
  const named = await nameInputs(parts.command, { id: context.places.id, hasCode });
  const { stopSignal, payload, config } = named.spec;
  const image = context.pinned.image.config;
  const command: CommandPlan = {
    spec: named.spec,
    origin: options.origin ?? 'caller',
    command: [...resolveCommand(image, named.spec), ...named.appended],
    stopSignal: stopSignal ?? toSignalNumber(image.stopSignal ?? '') ?? constants.signals.SIGTERM,
    files: planInputFiles(named.spec),
    hasProgress: hasCode || (payload ?? config) !== undefined,
    ...(packaged && { packaged }),
  };
  return { container, command };
}

/** Describes a container: the fields of a task without those of its command. */
export type ContainerRequest = Omit<
  TaskInput,
  | ('command' | 'entrypoint' | 'env' | 'workdir' | 'user' | 'code' | 'payload' | 'config')
  | ('args' | 'scheduleId')
  | ('build' | 'buildNetwork' | 'buildTimeout' | 'buildMemory' | 'buildDisk')
>;

/** Plans a container without a command. Throws like {@link planTask}. */
export async function planContainerAlone(
  installation: Installation,
  request: ContainerRequest,
): Promise<ContainerPlan> {
  const { spec, context } = await readTask(installation, request, {});
  return await planContainer(splitSpec(spec).container, context);
}

async function readTask(installation: Installation, input: unknown, options: PlanOptions) {
  const { trustsImageBundle = false, origin = 'caller', id: given, received = {} } = options;
  const { layout, host } = installation;
  const { parsed, packaged } = await parseTask(installation, input, options);
  if (!host.isRoot) {
    throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', 'run task: needs root');
  }
  const policy = await readPolicy(layout);
  if (parsed.build !== undefined && origin === 'job') requireJobBuilds(policy);
  const spec = await resolveInputs(admitTaskSpec(parsed, policy, host), policy, received);
  if (parsed.limits.diskBytes !== undefined) requireFreeSpace(layout, parsed.limits.diskBytes);
  const pinned = await resolveImage(layout, spec.stack);
  const id = given ?? spec.id ?? toTaskId(crypto.getRandomValues(new Uint8Array(13)));
  const places = taskPlaces(layout, id, spec.tenant);
  const context: ContainerContext = { installation, policy, pinned, places, trustsImageBundle };
  return { spec, packaged, context };
}

/** Throws ERR_STACKSHIM_SPEC_DENIED unless the policy allows build steps in data from a queue. */
function requireJobBuilds({ builds }: Policy): void {
  if (builds.jobs) return;
  const reason = "data from a queue may not set this field: the policy's builds.jobs is false";
  throw new StackshimError('ERR_STACKSHIM_SPEC_DENIED', `build: ${reason}`, {
    hint: 'set this field in the program that receives the data, or set builds.jobs in the policy',
    details: { field: 'build' },
  });
}

async function parseTask(
  { layout, host }: Installation,
  input: unknown,
  { origin, fields, received = {} }: PlanOptions,
): Promise<{ readonly parsed: TaskSpec; readonly packaged?: PinnedPackage }> {
  const own = readTaskInput(input, origin);
  const joined = fields === undefined ? own : readTaskInput({ ...own, ...fields });
  const asked = addReceived(joined, received);
  // Without root, skip the lookup: planning then throws ERR_STACKSHIM_NOT_ROOT.
  const isPackaged = asked.code !== undefined && host.isRoot && !isCodePath(asked.code);
  if (!isPackaged) return { parsed: await parseSpec(asked) };
  const { joinPackage, withPackageConfig } = await import('./plan-package.ts');
  const reference = parsePackageReference(asked.code, 'code');
  const { given, packaged } = joinPackage(layout, asked, reference);
  return { parsed: withPackageConfig(await parseSpec(given), packaged), packaged };
}

async function parseSpec(given: TaskInput): Promise<TaskSpec> {
  if (!asksForAccess(given)) return toTaskSpec(given, NO_ACCESS);
  const { parseAccess } = await import('../spec/parse-access.ts');
  return toTaskSpec(given, parseAccess(given));
}

/** Adds the received files as fields. The input's origin does not matter: these files come from the caller, not from the data. */
function addReceived(given: TaskInput, received: ReceivedInputs): TaskInput {
  for (const field of ['code', 'payloadFile', 'configFile'] as const) {
    if (received[field] !== undefined && given[field] !== undefined) {
      throw invalidField(field, 'given twice: as a field, and as bytes or a stream');
    }
  }
  return { ...given, ...received };
}

/** Resolves the host's files and directories that a task names. Loads the code for this only if the task names any. */
async function resolveInputs(
  spec: AdmittedTaskSpec,
  policy: Policy,
  received: ReceivedInputs,
): Promise<AdmittedTaskSpec> {
  const { mounts, code, payload, config } = spec;
  const isPath = code?.kind === 'path';
  const hasFile = [payload, config].some((input) => input?.kind === 'file');
  if (mounts.length === 0 && !isPath && !hasFile) return spec;
  const { withRealInputs } = await import('./resolve-inputs.ts');
  return withRealInputs(spec, policy, new Set(Object.values(received)));
}

async function resolveImage(
  layout: Layout,
  reference: StackReference | undefined,
): Promise<PinnedImage> {
  if (reference === undefined) {
    throw invalidField('stack', 'missing: neither the task nor its code package names a stack');
  }
  const { name, revision, image } = reference;
  const isPinned = (revision ?? image) !== undefined;
  const current = isPinned ? undefined : findCurrentImage(layout, name);
  if (current !== undefined) return current;
  const { resolveStack } = await import('../store/stacks/resolve-stack.ts');
  return resolveStack(layout, reference);
}

/**
 * Throws ERR_STACKSHIM_SPEC_DENIED for a disk limit above the filesystem's size, which is a mistake, and ERR_STACKSHIM_DISK_FULL
 * above the free space, which may change. Not called for the default limit, which may exceed the free space: most tasks use little.
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
  const message = `disk ${showBytes(asked)}: only ${showBytes(free)} are free for ${folder}`;
  throw new StackshimError('ERR_STACKSHIM_DISK_FULL', message, {
    hint: 'free disk space (stackshim gc), or ask for less',
    details: { field: 'disk', asked, free },
  });
}

export interface CommandPlan {
  readonly spec: CommandSpec;
  readonly origin: TaskOrigin;
  /** The command line, entrypoint included; never empty. */
  readonly command: readonly string[];
  /** The first signal of a stop. */
  readonly stopSignal: number;
  /** Payload and config. */
  readonly files: readonly TaskFile[];
  /** Whether the task gets a progress file: only if it was given something, because the file takes time to create. */
  readonly hasProgress: boolean;
  /** Present if the task's code is a package. */
  readonly packaged?: PinnedPackage;
}

/** Replaces input names in the command. Loads code only for a task whose command gets its inputs as arguments. */
async function nameInputs(spec: CommandSpec, task: NamedTask): Promise<NamedInputs> {
  if (spec.args === 'none') return { spec, appended: [] };
  const { toNamedSpec } = await import('./name-inputs.ts');
  return toNamedSpec(spec, task);
}

/** Divides a spec's fields: each belongs to exactly one part. */
function splitSpec(spec: AdmittedTaskSpec): {
  readonly container: ContainerSpec;
  readonly command: CommandSpec;
} {
  const {
    command,
    entrypoint,
    env,
    workdir,
    user,
    ulimits,
    labels,
    tty,
    interactive,
    stopSignal,
    code,
    build,
    buildNetwork,
    payload,
    config,
    args,
    scheduleId,
    outputs,
    outputRequired,
    keep,
    log,
    remove,
    captureBytes,
    limits,
    ...container
  } = spec;
  const { timeoutMs, stopTimeoutMs, outputBytes, cpuTimeMs, ...others } = limits;
  const { takenBytes, takenEntries, ...rest } = others;
  const { buildTimeoutMs, buildMemoryBytes, buildDiskBytes, ...containerLimits } = rest;
  return {
    container: { ...container, limits: containerLimits },
    command: withoutUndefined({
      ...{ command, env, ulimits, labels, tty, interactive, keep, log, remove, captureBytes },
      ...{ entrypoint, workdir, user, stopSignal, build, buildNetwork, payload, config },
      ...{ args, scheduleId, outputs, outputRequired },
      code: code?.kind === 'path' ? code.path : undefined,
      limits: withoutUndefined({
        ...{ timeoutMs, stopTimeoutMs, outputBytes, cpuTimeMs, takenBytes, takenEntries },
        ...{ buildTimeoutMs, buildMemoryBytes, buildDiskBytes },
      }),
    }),
  };
}
