/**
 * From a plan to a created container whose init waits to become the command. The container may have been prepared before.
 * It undoes nothing: everything it may have made is named by the task's record, and removed by `removeTask`.
 */
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { IdRange, LayerSource } from '../core/mount.ts';
import { nextTurn } from '../core/pause.ts';
import { joinConfig, toConfigJson } from '../oci/build-config.ts';
import { buildBinds } from '../oci/build-mounts.ts';
import { buildProcess, requireMappedUser } from '../oci/build-process.ts';
import { buildTaskEnv } from '../oci/build-task-env.ts';
import { resolveWorkdir } from '../oci/resolve-command.ts';
import type { ResolvedUser } from '../oci/resolve-user.ts';
import { detachRootfs, mountRootfs } from '../rootfs/mount-rootfs.ts';
import { type MountPlan, planAdded, type RootfsPlan } from '../rootfs/plan-rootfs.ts';
import { beginContainer } from '../runtime/create-container.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { CreateContainerOptions, CreatedContainer } from '../runtime/runtime.ts';
import type { System } from '../sys/system.ts';
import type { BindOwners } from './bind-owners.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import type { CommandPlace } from './inspect-command.ts';
import type { Installation } from './installation.ts';
import type { ContainerPlan } from './plan-container.ts';
import type { CommandPlan, TaskPlan } from './plan-task.ts';
import {
  adoptContainer,
  claimRoom,
  countBinds,
  type HandedContainer,
  idsOf,
  needsOwner,
  ownerOf,
  type PrepareContext,
  type PreparedContainer,
  prepareContainer,
  toBind,
} from './prepare-container.ts';
import { closeTaskDir } from './records/record.ts';
import { resolveTaskUser } from './resolve-task-user.ts';
import { openPipeStreams, type StreamOwner, type TaskStreams } from './streams/task-streams.ts';
import type { TaskTerminal } from './streams/terminal-streams.ts';
import { toFileBind, writeInputs } from './task-inputs.ts';

export interface CreatedTask {
  readonly init: CreatedContainer;
  readonly streams: TaskStreams;
  readonly disk: TaskDisk;
  /** With a runtime that cannot tell: a file stands where the command is looked for. */
  readonly commandIsThere: boolean;
  /**
   * Takes the task's mounts from the host's namespace: the container has its own copies, and a mount that stays attached makes every
   * later start slower. It can wait until the command runs, but not until the task is removed. What fails here is tried again, and told,
   * then: this never rejects. A second call waits for the first.
   */
  detachMounts(): Promise<void>;
}

export interface CreateContext extends PrepareContext {
  /** With a terminal: the one it is to follow. */
  readonly terminal: TaskTerminal | undefined;
  /** The task's container, where another process has prepared that. */
  readonly handed?: HandedContainer | undefined;
}

/** Rejects with the error of the stage that failed. */
export async function createTask(plan: TaskPlan, context: CreateContext): Promise<CreatedTask> {
  const { installation, clock, holdings } = context;
  const { system } = installation;
  const { runtime } = plan.container;
  clock.enter('assemble');
  await claimRoom(plan.container, context);
  const { tty, interactive } = plan.command.spec;
  const streams = holdings.add(
    'streams',
    tty
      ? await openTerminal(plan.container.places.consoleSocket, context)
      : openPipeStreams(system, { interactive }),
  );
  // While the runtime loads, the container is assembled.
  const creation = beginContainer(system, runtime, toCreateOptions(plan, streams, context));
  const mounted: MountPlan[] = [];
  let detaching: Promise<void> | undefined;
  const detachMounts = () => {
    detaching ??= detach(installation, { plan, mounted, disk: holdings.get('disk') });
    return detaching;
  };
  let binds: BindOwners | undefined;
  try {
    await nextTurn();
    if (needsBindOwners(plan)) binds = await openBindOwners(system, plan.container);
    const container = await openContainer(plan.container, context);
    mounted.push(container.rootfs);
    clock.enter('assemble');
    const place = { ...context, plan, container, binds };
    const added = await addMounts(place);
    mounted.push(added);
    clock.enter('configure');
    const { config, owner, command } = configure(place, added);
    const { rootfs, binds: ownBinds } = container.rootfs;
    const root = { rootfs, binds: [...ownBinds, ...added.binds] };
    const commandIsThere =
      driverOf(runtime).findsCommandAtStart && (await inspectInRoot(system, root, command));
    streams.give(owner);
    clock.enter('start');
    // Cgroups are looked for while the runtime works: that costs no time.
    const [init] = await Promise.all([
      creation.finish(config),
      openCgroups(installation),
      container.closed,
      added.closed,
      binds?.close(),
    ]);
    requireOwnInit(installation, plan.container, init);
    limitSockets(installation, plan.container);
    streams.handOver();
    return { init, streams, disk: container.disk, commandIsThere, detachMounts };
  } catch (error) {
    await Promise.all([creation.abandon(), binds?.close()]);
    await detachMounts();
    throw await explain(error, plan.container, installation);
  }
}

const openContainer = (plan: ContainerPlan, context: CreateContext): Promise<PreparedContainer> =>
  context.handed === undefined
    ? prepareContainer(plan, context)
    : adoptContainer(plan, context.handed, context);

interface Attached {
  readonly plan: TaskPlan;
  readonly mounted: readonly MountPlan[];
  readonly disk: TaskDisk | undefined;
}

async function detach({ system }: Installation, { plan, mounted, disk }: Attached): Promise<void> {
  try {
    closeTaskDir(plan.container.places);
    for (const mounts of [...mounted].reverse()) await detachRootfs(system, mounts);
    await disk?.detach();
  } catch {
    // Removal finds them attached.
  }
}

/** With the host's user namespace a task's root passes everywhere. */
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
  const { bundle, logFile, pidFile } = container.places;
  return {
    ...containerOf(container),
    bundle,
    logFile,
    pidFile,
    stdio: childEnds,
    consoleSocket,
    hostNetwork: container.spec.network === 'host',
    signal,
  };
}

/** Loaded by those tasks alone that need it. */
async function inspectInRoot(
  system: System,
  root: Pick<RootfsPlan, 'rootfs' | 'binds'>,
  place: CommandPlace,
) {
  const { inspectCommand } = await import('./inspect-command.ts');
  return inspectCommand(system, root, place);
}

/** Asynchronous only so that it can fail beside the runtime. */
const openCgroups = (installation: Installation) =>
  Promise.resolve().then(() => installation.cgroups);

/** What a runtime calls the task's init is going to be signalled: it must be none of another task, or of the host. */
function requireOwnInit(
  { cgroups }: Installation,
  { places, runtime }: ContainerPlan,
  { pid }: CreatedContainer,
): void {
  const listed = () => cgroups.listProcesses(places.cgroupsPath);
  if (driverOf(runtime).isOwnInit(pid, listed)) return;
  throw new StackshimError(
    'ERR_STACKSHIM_RUNTIME_FAILED',
    `create container ${places.id}: the runtime reported pid ${pid}, which is not in the task's cgroup`,
    { details: { runtime: runtime.path, pid } },
  );
}

/** Before the command runs: the kernel begins to count with the limit. Runtimes ignore the one that a configuration can name. */
function limitSockets({ cgroups }: Installation, { places, spec }: ContainerPlan): void {
  try {
    cgroups.limitSockets(places.cgroupsPath, spec.limits.memoryBytes);
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "limit the memory of the task's sockets");
  }
}

export const containerOf = ({ places }: ContainerPlan) => ({
  id: places.id,
  stateRoot: places.stateRoot,
});

async function openTerminal(
  socket: string,
  { installation, terminal }: CreateContext,
): Promise<TaskStreams> {
  const { openTerminalStreams } = await import('./streams/terminal-streams.ts');
  return openTerminalStreams(installation.system, { socket, terminal });
}

const needsBindOwners = ({ container: { spec } }: TaskPlan) =>
  spec.mounts.some((mount) => needsOwner(spec, mount));

/** Loaded by those tasks alone that need them. */
async function openBindOwners(system: System, { bindOwner }: ContainerPlan): Promise<BindOwners> {
  const { BindOwners: Owners } = await import('./bind-owners.ts');
  return new Owners(system, bindOwner);
}

/** Where a command comes to. */
interface Place {
  readonly plan: TaskPlan;
  readonly container: PreparedContainer;
  readonly binds: BindOwners | undefined;
  readonly installation: Installation;
  readonly signal: AbortSignal;
}

interface AddedMounts extends MountPlan {
  readonly user: ResolvedUser;
  readonly closed: Promise<void>;
}

/** What the command alone needs: its code, payload and config, and writable binds, whose files belong to its user. */
async function addMounts(place: Place): Promise<AddedMounts> {
  const { plan, container, installation, binds } = place;
  const { system } = installation;
  const { slot, rootfs } = container;
  const { spec, pinned, places, runtime } = plan.container;
  const ids = idsOf(plan.container, slot);
  const owned = spec.mounts.filter((mount) => needsOwner(spec, mount));
  const { files } = plan.command;
  await writeInputs(files, { places, ids });
  const code = await codeOf(plan.command, place);
  const added = planAdded({
    taskDir: places.taskDir,
    scratchDir: places.scratchDir,
    code,
    binds: [
      ...owned.map((mount) => ({ ...toBind(mount), ownerMapped: true })),
      ...files.map((file) => toFileBind(file, places)),
    ],
    bindsBefore: countBinds(plan.container),
  });
  const user = resolveTaskUser(
    system,
    plan.command.spec.user ?? pinned.image.config.user,
    rootfs.rootfs,
  );
  if (added.mounts.length === 0) return { ...added, user, closed: Promise.resolve() };
  if (ids !== null && owned.length > 0) requireMappedUser(user, ids);
  const { closed } = await mountRootfs(system, added, {
    owner: ownerOf(plan.container, slot),
    async mapOwner(clone, bind, source) {
      await binds?.map(clone, bind, {
        source,
        user: toHostUser(user, ids),
        ...(driverOf(runtime).servesBinds ? { server: toHostUser(ROOT, ids) } : {}),
      });
    },
  });
  return { ...added, user, closed };
}

async function codeOf({ spec }: CommandPlan, place: Place): Promise<LayerSource | undefined> {
  if (spec.code === undefined) return undefined;
  const { addCode } = await import('./add-code.ts');
  const { installation, signal, plan, container } = place;
  const { places } = plan.container;
  return await addCode(spec.code, { installation, signal, places, disk: container.disk });
}

const ROOT = { uid: 0, gid: 0 };

function toHostUser({ uid, gid }: StreamOwner, ids: IdRange | null): StreamOwner {
  const base = ids?.base ?? 0;
  return { uid: base + uid, gid: base + gid };
}

/** The text of `config.json`, the host ids of the user that the command runs as, and where the command is looked for. */
function configure(
  { plan, container, installation }: Place,
  { user, binds }: AddedMounts,
): { readonly config: string; readonly owner: StreamOwner; readonly command: CommandPlace } {
  const { spec, pinned, places, template, hostname, runtime } = plan.container;
  const { spec: own, command } = plan.command;
  const { config: image } = pinned.image;
  const ids = idsOf(plan.container, container.slot);
  const hasCode = own.code !== undefined;
  const { home, ...ownUser } = user;
  const env = buildTaskEnv({
    imageEnv: image.env,
    env: own.env,
    id: places.id,
    hostname,
    hasCode,
    hasPayload: own.payload !== undefined,
    hasConfig: own.config !== undefined,
    timeoutMs: own.limits.timeoutMs,
    memoryBytes: spec.limits.memoryBytes,
    tty: own.tty,
    home,
  });
  const cwd = resolveWorkdir({ workdir: own.workdir, hasCode, image });
  const { capAdd, capDrop, init, noNewPrivileges, ulimitMaxima } = spec;
  const { tty, ulimits } = own;
  const config = joinConfig(container.config, {
    process: buildProcess({
      ...{ template, command, env, cwd, ids, host: installation.host, user: ownUser },
      spec: { capAdd, capDrop, init, noNewPrivileges, ulimitMaxima, tty, ulimits },
    }),
    mounts: buildBinds(binds, {
      hasUserNamespace: ids !== null,
      locksBinds: driverOf(runtime).locksBinds,
    }),
  });
  return {
    config: toConfigJson(config),
    owner: toHostUser(user, ids),
    command: { command, env, cwd },
  };
}
