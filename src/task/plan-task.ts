/** From outside data to a plan: parsed, admitted, resolved. Nothing has happened yet, so everything that is wrong is thrown. */
import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { StackshimError } from '../core/errors.ts';
import { type TaskId, toTaskId } from '../core/ids.ts';
import { type Layout, scratchDir } from '../core/layout.ts';
import { withoutUndefined } from '../core/without-undefined.ts';
import { resolveCommand } from '../oci/resolve-command.ts';
import { admitTaskSpec } from '../spec/admit-task-spec.ts';
import { deniedField } from '../spec/denied-field.ts';
import { toSignalNumber } from '../spec/parse-signal.ts';
import { parseTaskSpec } from '../spec/parse-task-spec.ts';
import { showBytes } from '../spec/show-quantity.ts';
import type { TaskInput, TaskOrigin } from '../spec/task-input.ts';
import type { AdmittedTaskSpec, CommandSpec, ContainerSpec } from '../spec/task-spec.ts';
import type { ImageConfig } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { nearestExisting } from '../sys/files.ts';
import type { Installation } from './installation.ts';
import { type ContainerContext, type ContainerPlan, planContainer } from './plan-container.ts';
import { readPolicy } from './read-policy.ts';
import { taskPlaces } from './records/task-places.ts';
import { withRealInputs } from './resolve-inputs.ts';
import { planInputFiles, type TaskFile } from './task-inputs.ts';

/** One command in one container. */
export interface TaskPlan {
  readonly container: ContainerPlan;
  readonly command: CommandPlan;
}

export interface PlanOptions {
  readonly trustsImageBundle?: boolean;
  readonly origin?: TaskOrigin;
  /** The task gets this id, whatever the input says. */
  readonly id?: TaskId | undefined;
}

/** Throws a {@link StackshimError} of kind invalid, not_found, denied or unavailable; has no effect. */
export async function planTask(
  installation: Installation,
  input: unknown,
  options: PlanOptions = {},
): Promise<TaskPlan> {
  const { parts, context } = readTask(installation, input, options);
  const container = await planContainer(parts.container, context);
  return { container, command: planCommand(parts.command, context.pinned.image.config) };
}

/** What describes a container: the fields of a task that say nothing of its command. */
export type ContainerRequest = Omit<
  TaskInput,
  'command' | 'entrypoint' | 'env' | 'workdir' | 'user' | 'code' | 'payload' | 'config'
>;

/** Throws as {@link planTask}. */
export async function planContainerAlone(
  installation: Installation,
  request: ContainerRequest,
): Promise<ContainerPlan> {
  const { parts, context } = readTask(installation, request, {});
  return await planContainer(parts.container, context);
}

function readTask(
  installation: Installation,
  input: unknown,
  { trustsImageBundle = false, origin = 'caller', id: given }: PlanOptions,
): { readonly parts: SplitSpec; readonly context: ContainerContext } {
  const { layout, host } = installation;
  const parsed = parseTaskSpec(input, origin);
  if (!host.isRoot) {
    throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', 'run task: needs root');
  }
  const policy = readPolicy(layout);
  const spec = withRealInputs(admitTaskSpec(parsed, policy, host), policy);
  if (parsed.limits.diskBytes !== undefined) requireFreeSpace(layout, parsed.limits.diskBytes);
  const pinned = resolveStack(layout, spec.stack);
  const id = given ?? spec.id ?? toTaskId(crypto.getRandomValues(new Uint8Array(13)));
  const places = taskPlaces(layout, id, spec.tenant);
  return {
    parts: splitSpec(spec),
    context: { installation, policy, pinned, places, trustsImageBundle },
  };
}

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

export interface CommandPlan {
  readonly spec: CommandSpec;
  /** What to run, entrypoint included; never empty. */
  readonly command: readonly string[];
  /** What a stop begins with. */
  readonly stopSignal: number;
  /** Payload and config. */
  readonly files: readonly TaskFile[];
}

const { SIGTERM } = constants.signals;

/** Throws ERR_STACKSHIM_SPEC_INVALID. */
const planCommand = (spec: CommandSpec, image: ImageConfig): CommandPlan => ({
  spec,
  command: resolveCommand(image, spec),
  stopSignal: spec.stopSignal ?? toSignalNumber(image.stopSignal ?? '') ?? SIGTERM,
  files: planInputFiles(spec),
});

interface SplitSpec {
  readonly container: ContainerSpec;
  readonly command: CommandSpec;
}

/** Each field goes to one of the two. */
function splitSpec(spec: AdmittedTaskSpec): SplitSpec {
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
    payload,
    config,
    keep,
    remove,
    captureBytes,
    limits: { timeoutMs, stopTimeoutMs, outputBytes, cpuTimeMs, ...containerLimits },
    ...container
  } = spec;
  return {
    container: { ...container, limits: containerLimits },
    command: withoutUndefined({
      ...{ command, env, ulimits, labels, tty, interactive, keep, remove, captureBytes },
      ...{ entrypoint, workdir, user, stopSignal, code, payload, config },
      limits: withoutUndefined({ timeoutMs, stopTimeoutMs, outputBytes, cpuTimeMs }),
    }),
  };
}
