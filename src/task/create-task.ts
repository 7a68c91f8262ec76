/**
 * Turns a plan into a created container whose init waits to become the command. The container may have been prepared
 * earlier. Undoes nothing on failure: the task's record names everything that may exist, and `removeTask` removes it.
 */
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { LayerSource } from '../core/mount.ts';
import { nextTurn } from '../core/pause.ts';
import { detachRootfs } from '../rootfs/mount-rootfs.ts';
import type { MountPlan } from '../rootfs/plan-rootfs.ts';
import { beginContainer } from '../runtime/drive-container.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { CreateContainerOptions, CreatedContainer } from '../runtime/runtime.ts';
import type { System } from '../sys/system.ts';
import { addMounts, configureCommand, loadExtras } from './add-command.ts';
import type { BindOwners } from './bind-owners.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import type { Installation } from './installation.ts';
import type { TaskOutputs } from './outputs/task-outputs.ts';
import type { ContainerPlan } from './plan-container.ts';
import type { TaskPlan } from './plan-task.ts';
import {
  adoptContainer,
  claimSeat,
  type HandedContainer,
  mountLayers,
  type PrepareContext,
  prepareContainer,
} from './prepare-container.ts';
import { closeTaskDir } from './records/record.ts';
import { openPipeStreams, type TaskStreams } from './streams/task-streams.ts';
import type { TaskTerminal } from './streams/terminal-streams.ts';

export interface CreatedTask {
  readonly init: CreatedContainer;
  readonly streams: TaskStreams;
  readonly disk: TaskDisk;
  /** Whether a file exists at the command's path; only for a runtime that looks the command up at its start. */
  readonly commandIsThere: boolean;
  /**
   * Detaches the task's mounts from the host's mount namespace: the container has its own copies, and
   * attached mounts slow every later start. Call it before the task's removal; it need not precede the
   * command. Never rejects: the removal tries again, and reports failures. A second call waits for the first.
   */
  detachMounts(): Promise<void>;
}

export interface CreateContext extends PrepareContext {
  /** The terminal that the task's terminal follows, if any. */
  readonly terminal: TaskTerminal | undefined;
  /** The layers of the task's code, lowest first, if they exist already. */
  readonly code?: readonly LayerSource[] | undefined;
  /** Called when all mounts of the task exist and are still attached. */
  readonly onMounted?: (() => void) | undefined;
  /** The task's container, if another process prepared it. */
  readonly handed?: HandedContainer | undefined;
  /** Present if files are taken out of the task at its end. */
  readonly outputs?: TaskOutputs | undefined;
}

/** Creates the container. Rejects with the error of the stage that failed. */
export async function createTask(plan: TaskPlan, context: CreateContext): Promise<CreatedTask> {
  const { installation, clock, holdings } = context;
  const { system } = installation;
  const { runtime } = plan.container;
  clock.enter('assemble');
  await claimSeat(plan.container, context);
  await mountLayers(plan.container, installation);
  const code = context.code ?? (await mountPackaged(plan, installation));
  const extras = await loadExtras(plan, code);
  const streams = holdings.add('streams', await openStreams(plan, context));
  // The runtime loads while the container is assembled.
  const creation = beginContainer(system, runtime, toCreateOptions(plan, streams, context));
  const mounted: MountPlan[] = [];
  let detaching: Promise<void> | undefined;
  const detachMounts = () => {
    detaching ??= detach(system, plan, mounted, holdings.get('disk'));
    return detaching;
  };
  let binds: BindOwners | undefined;
  try {
    await nextTurn();
    if (extras.owners !== undefined) {
      binds = new extras.owners.BindOwners(system, plan.container.bindOwner);
    }
    const { handed } = context;
    const container = await (handed === undefined
      ? prepareContainer(plan.container, context)
      : adoptContainer(plan.container, handed, context));
    mounted.push(container.rootfs);
    clock.enter('assemble');
    const place = { ...context, plan, container, binds, extras, code };
    const added = await addMounts(place);
    mounted.push(added);
    if (added.memory !== undefined && extras.progress !== undefined) {
      holdings.add('progress', new extras.progress.TaskProgress(system, added.memory));
    }
    context.outputs?.hold(container.rootfs.rootfs, added.code);
    context.onMounted?.();
    clock.enter('configure');
    const { config, owner, command } = configureCommand(place, added);
    const { rootfs, binds: ownBinds } = container.rootfs;
    const root = { rootfs, binds: [...ownBinds, ...added.binds] };
    const commandIsThere = extras.inspection?.inspectCommand(system, root, command) ?? false;
    streams.give(owner);
    clock.enter('start');
    // The lookup of cgroups costs no time while the runtime works. Its failure is handled like the runtime's.
    const [init] = await Promise.all([
      creation.finish(config),
      Promise.resolve().then(() => installation.cgroups),
      container.closed,
      added.closed,
      binds?.close(),
    ]);
    requireOwnInit(installation, plan.container, init);
    limitSockets(installation, plan.container);
    streams.handOver();
    return { init, streams, disk: container.disk, commandIsThere, detachMounts };
  } catch (error) {
    await Promise.all([creation.cancel(), binds?.close()]);
    await detachMounts();
    throw await explain(error, plan.container, installation);
  }
}

/** Mounts the layers of the task's code package; undefined if its code is not a package. */
async function mountPackaged({ command }: TaskPlan, installation: Installation) {
  if (command.packaged === undefined) return undefined;
  const { mountPackage } = await import('./plan-package.ts');
  return mountPackage(installation, command.packaged);
}

async function detach(
  system: System,
  plan: TaskPlan,
  mounted: readonly MountPlan[],
  disk: TaskDisk | undefined,
): Promise<void> {
  try {
    closeTaskDir(plan.container.places);
    for (const mounts of [...mounted].reverse()) await detachRootfs(system, mounts);
    await disk?.detach();
  } catch {
    // The removal detaches these mounts.
  }
}

/** Adds to the error which folder the task cannot pass through. In the host's user namespace, a task's root can pass through all folders. */
async function explain(error: unknown, { spec }: ContainerPlan, { layout }: Installation) {
  if (!(error instanceof StackshimError) || spec.userns === 'host') return error;
  if (error.code !== 'ERR_STACKSHIM_RUNTIME_FAILED') return error;
  const { explainUnreachable } = await import('./explain-unreachable.ts');
  return explainUnreachable(error, layout);
}

function toCreateOptions(
  { container }: TaskPlan,
  { childEnds, consoleSocket }: TaskStreams,
  { signal }: PrepareContext,
): CreateContainerOptions {
  const { id, stateRoot, bundle, logFile, pidFile } = container.places;
  return {
    id,
    stateRoot,
    bundle,
    logFile,
    pidFile,
    stdio: childEnds,
    consoleSocket,
    hostNetwork: container.spec.network === 'host',
    signal,
  };
}

/** Checks the pid that a runtime reports as the task's init: it will be signalled, so it must not belong to another task or to the host. */
function requireOwnInit(
  { cgroups }: Installation,
  { places, runtime }: ContainerPlan,
  { pid }: CreatedContainer,
): void {
  const listed = () => cgroups.listProcesses(places.cgroupsPath);
  if (driverOf(runtime).isOwnInit(pid, listed)) return;
  const message = `create container ${places.id}: the runtime reported pid ${pid}, which is not in the task's cgroup`;
  const details = { runtime: runtime.path, pid };
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', message, { details });
}

/** Limits the memory of sockets. Call it before the command runs, because the kernel starts counting then. Runtimes ignore a configured limit. */
function limitSockets({ cgroups }: Installation, { places, spec }: ContainerPlan): void {
  try {
    cgroups.limitSockets(places.cgroupsPath, spec.limits.memoryBytes);
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "limit the memory of the task's sockets");
  }
}

/** Opens the task's streams; loads only the code that this kind of streams needs. */
async function openStreams(
  { container, command }: TaskPlan,
  { installation, terminal }: CreateContext,
): Promise<TaskStreams> {
  const { tty, interactive } = command.spec;
  const { system } = installation;
  if (tty) {
    const { openTerminalStreams } = await import('./streams/terminal-streams.ts');
    return await openTerminalStreams(system, container.places.consoleSocket, terminal);
  }
  const input = interactive ? await import('../sys/feed-pipe.ts') : undefined;
  return openPipeStreams(system, input?.feedPipe);
}
