/**
 * From a plan to a created container whose init waits to be started: slot, mounts, config, runtime.
 * It undoes nothing: everything it may have made is named by the task's record, and removed by `removeTask`.
 */
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { BindMount, IdRange, LayerSource } from '../core/mount.ts';
import { nextTurn } from '../core/pause.ts';
import { mountLayer } from '../layers/mount-layer.ts';
import { buildConfig } from '../oci/build-config.ts';
import { requireMappedUser } from '../oci/build-process.ts';
import { buildTaskEnv } from '../oci/build-task-env.ts';
import { toConfigJson } from '../oci/config-json.ts';
import { resolveWorkdir } from '../oci/resolve-command.ts';
import type { ResolvedUser } from '../oci/resolve-user.ts';
import { detachRootfs, mountRootfs } from '../rootfs/mount-rootfs.ts';
import { planRootfs, type RootfsPlan } from '../rootfs/plan-rootfs.ts';
import { beginContainer } from '../runtime/create-container.ts';
import { locksBinds } from '../runtime/locks-binds.ts';
import { netSysctl } from '../runtime/net-sysctl.ts';
import type { CreateContainerOptions, CreatedContainer } from '../runtime/runtime.ts';
import type { AdmittedTaskSpec } from '../spec/task-spec.ts';
import { readProcess } from '../sys/processes.ts';
import type { System } from '../sys/system.ts';
import { claimSlot, type Slot } from './admission/slot.ts';
import type { BindOwners } from './bind-owners.ts';
import { openTaskDisk } from './disk/open-task-disk.ts';
import { requireStored } from './disk/require-stored.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import type { Holdings } from './holdings.ts';
import type { CommandPlace } from './inspect-command.ts';
import type { Installation } from './installation.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { TaskPlan } from './plan-task.ts';
import { admitToTaskDir, closeTaskDir } from './records/record.ts';
import { resolveTaskUser } from './resolve-task-user.ts';
import { openPipeStreams, type StreamOwner, type TaskStreams } from './streams/task-streams.ts';
import { openTerminalStreams, type TaskTerminal } from './streams/terminal-streams.ts';
import { writeTaskInputs } from './task-inputs.ts';

export interface PreparedTask {
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

export interface PrepareContext {
  readonly installation: Installation;
  readonly clock: PhaseClock;
  /** Gives up: what is under way is ended, and the promise rejects. */
  readonly signal: AbortSignal;
  /** Gets what the task acquires, as soon as it is there; the caller gives it back, whatever happens next. */
  readonly holdings: Holdings;
  /** With a terminal: the one it is to follow. */
  readonly terminal: TaskTerminal | undefined;
}

/** Rejects with the error of the stage that failed. */
export async function prepareTask(plan: TaskPlan, context: PrepareContext): Promise<PreparedTask> {
  const { installation, clock, holdings } = context;
  const { system } = installation;
  clock.enter('assemble');
  await claimRoom(plan, context);
  const streams = holdings.add('streams', openStreams(plan, context));
  const creation = beginContainer(system, plan.runtime, toCreateOptions(plan, streams, context));
  let disk: TaskDisk | undefined;
  let rootfs: RootfsPlan | undefined;
  let binds: BindOwners | undefined;
  let detaching: Promise<void> | undefined;
  const detach = async () => {
    try {
      closeTaskDir(plan.places);
      if (rootfs !== undefined) await detachRootfs(system, rootfs);
      await disk?.detach();
    } catch {
      // Removal finds them attached.
    }
  };
  const detachMounts = () => {
    detaching ??= detach();
    return detaching;
  };
  try {
    const { places, spec } = plan;
    await nextTurn();
    if (needsBindOwners(spec)) binds = await openBindOwners(system, plan);
    const { slots } = spec.admission;
    const claim = { task: places.id, slots };
    const slot = holdings.add('slot', await claimSlot(system, installation.layout, claim));
    const { userns } = spec;
    if (userns !== 'host') admitToTaskDir(places, slot.ids);
    const space = { ...plan.disk, places, slot, userns };
    disk = holdings.add('disk', await openTaskDisk(installation, space));
    const root = await assembleRootfs(plan, slot, { ...context, disk, binds });
    rootfs = root.rootfs;
    clock.enter('configure');
    await nextTurn();
    const { config, owner, place } = configure(plan, slot, { ...root, installation });
    const commandIsThere =
      plan.runtime.kind === 'runsc' && (await inspectInRoot(system, rootfs, place));
    streams.give(owner);
    clock.enter('start');
    // Cgroups are looked for while the runtime works, so that nobody waits for it.
    const [init] = await Promise.all([
      creation.finish(config),
      openCgroups(installation),
      root.closed,
      binds?.close(),
    ]);
    requireOwnInit(installation, plan, init);
    limitSockets(installation, plan);
    streams.handOver();
    return { init, streams, disk, commandIsThere, detachMounts };
  } catch (error) {
    await Promise.all([creation.abandon(), binds?.close()]);
    await detachMounts();
    throw await explain(error, plan, installation);
  }
}

/** With the host's user namespace a task's root passes everywhere. */
async function explain(error: unknown, { spec }: TaskPlan, { layout }: Installation) {
  if (!(error instanceof StackshimError) || spec.userns === 'host') return error;
  if (error.code !== 'ERR_STACKSHIM_RUNTIME_FAILED') return error;
  const { explainUnreachable } = await import('./explain-unreachable.ts');
  return explainUnreachable(error, layout);
}

/** What must hold beside other tasks, where the policy or the task says so. */
async function claimRoom(
  { spec, places }: TaskPlan,
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

function toCreateOptions(
  plan: TaskPlan,
  { childEnds, consoleSocket }: TaskStreams,
  { signal }: PrepareContext,
): CreateContainerOptions {
  const { bundle, logFile, pidFile } = plan.places;
  return {
    ...containerOf(plan),
    bundle,
    logFile,
    pidFile,
    stdio: childEnds,
    ...(consoleSocket === undefined ? {} : { consoleSocket }),
    hostNetwork: plan.spec.network === 'host',
    signal,
  };
}

/** Loaded by those tasks alone that need it. */
async function inspectInRoot(system: System, rootfs: RootfsPlan, place: CommandPlace) {
  const { inspectCommand } = await import('./inspect-command.ts');
  return inspectCommand(system, rootfs, place);
}

/** Asynchronous only so that it can fail beside the runtime. */
const openCgroups = (installation: Installation) =>
  Promise.resolve().then(() => installation.cgroups);

/** What a runtime calls the task's init is going to be signalled: it must be none of another task, or of the host. */
function requireOwnInit(
  { cgroups }: Installation,
  { places, runtime }: TaskPlan,
  { pid }: CreatedContainer,
): void {
  // runsc keeps its sandbox where it likes; it is a child of ours all the same.
  const isOwn =
    runtime.kind === 'runsc'
      ? readProcess(pid)?.ppid === process.pid
      : cgroups.listProcesses(places.cgroupsPath).includes(pid);
  if (isOwn) return;
  throw new StackshimError(
    'ERR_STACKSHIM_RUNTIME_FAILED',
    `create container ${places.id}: the runtime reported pid ${pid}, which is not in the task's cgroup`,
    { details: { runtime: runtime.path, pid } },
  );
}

/** Before the command runs: the kernel begins to count with the limit. Runtimes ignore the one that a configuration can name. */
function limitSockets({ cgroups }: Installation, { places, spec }: TaskPlan): void {
  try {
    cgroups.limitSockets(places.cgroupsPath, spec.limits.memoryBytes);
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "limit the memory of the task's sockets");
  }
}

export const containerOf = ({ places }: TaskPlan) => ({
  id: places.id,
  stateRoot: places.stateRoot,
});

function openStreams(
  { spec, places }: TaskPlan,
  { installation, terminal }: PrepareContext,
): TaskStreams {
  const { system } = installation;
  return spec.tty
    ? openTerminalStreams(system, { socket: places.consoleSocket, terminal })
    : openPipeStreams(system, { interactive: spec.interactive });
}

/** Null with `--userns host`. */
const idsOf = (plan: TaskPlan, slot: Slot) => (plan.spec.userns === 'host' ? null : slot.ids);

/** Binds of the host's user namespace have the host's ids. */
const needsBindOwners = ({ mounts, userns }: AdmittedTaskSpec) =>
  userns !== 'host' && mounts.some(({ readOnly }) => !readOnly);

/** Loaded by those tasks alone that need them. */
async function openBindOwners(system: System, { bindOwner }: TaskPlan): Promise<BindOwners> {
  const { BindOwners: Owners } = await import('./bind-owners.ts');
  return new Owners(system, bindOwner);
}

interface Assembly {
  readonly disk: TaskDisk;
  readonly binds: BindOwners | undefined;
}

interface AssembledRoot {
  readonly rootfs: RootfsPlan;
  readonly user: ResolvedUser;
  readonly closed: Promise<void>;
}

async function assembleRootfs(
  plan: TaskPlan,
  slot: Slot,
  { installation, signal, disk, binds }: PrepareContext & Assembly,
): Promise<AssembledRoot> {
  const { system, layout } = installation;
  const { spec, pinned, places, files } = plan;
  const ids = idsOf(plan, slot);
  const layers = pinned.image.layers.map(
    (id): LayerSource => ({ kind: 'mounted', path: mountLayer(system, layout, id) }),
  );
  const inputs = await writeTaskInputs(spec.code, files, {
    places,
    ids,
    signal,
    workers: { system, layout },
  });
  if (inputs.code !== undefined) requireStored(layout, places, (await disk.measure()).bytes);
  const asked = spec.mounts.map(
    (mount): BindMount => ({
      type: 'bind',
      ...mount,
      ownerMapped: binds !== undefined && !mount.readOnly,
    }),
  );
  const rootfs = planRootfs({
    taskDir: places.taskDir,
    scratchDir: places.scratchDir,
    layers,
    ...(inputs.code === undefined ? {} : { code: inputs.code }),
    binds: [...asked, ...inputs.binds],
    devices: plan.devices,
    setuid: !spec.noNewPrivileges,
    sysfs: ids !== null && spec.network === 'host',
  });
  const owner = ids === null ? null : { ids, userNamespaceFd: slot.userNamespaceFd };
  const resolveUser = () =>
    resolveTaskUser(system, spec.user ?? pinned.image.config.user, rootfs.rootfs);
  let user: ResolvedUser | undefined;
  const { closed } = await mountRootfs(system, rootfs, {
    owner,
    async mapOwner(clone, bind, source) {
      user ??= resolveUser();
      requireMappedUser(user, slot.ids);
      await binds?.map(clone, bind, {
        source,
        user: toHostUser(user, ids),
        // Its file server is root of the task's user namespace, whoever the command runs as.
        ...(plan.runtime.kind === 'runsc' ? { server: toHostUser(ROOT, ids) } : {}),
      });
    },
  });
  return { rootfs, closed, user: user ?? resolveUser() };
}

const ROOT = { uid: 0, gid: 0 };

function toHostUser({ uid, gid }: StreamOwner, ids: IdRange | null): StreamOwner {
  const base = ids?.base ?? 0;
  return { uid: base + uid, gid: base + gid };
}

/** Cgroups are looked for only when they must be known: mostly that can be done beside the runtime. */
const needsCgroupVersion = ({ limits, oomGroup }: AdmittedTaskSpec) =>
  oomGroup || limits.cpuShares !== undefined;

/** The text of `config.json`, the host ids of the user that the command runs as, and where the command is looked for. */
function configure(
  plan: TaskPlan,
  slot: Slot,
  { rootfs, user, installation }: AssembledRoot & { readonly installation: Installation },
): { readonly config: string; readonly owner: StreamOwner; readonly place: CommandPlace } {
  const { spec, pinned, places, template, hostname, command, seccompProfile, initBinary } = plan;
  const { devices, throttles } = plan;
  const { config: image } = pinned.image;
  const ids = idsOf(plan, slot);
  const hasCode = spec.code !== undefined;
  const { home, ...ownUser } = user;
  const env = buildTaskEnv({
    imageEnv: image.env,
    env: spec.env,
    id: places.id,
    hostname,
    hasCode,
    hasPayload: spec.payload !== undefined,
    hasConfig: spec.config !== undefined,
    timeoutMs: spec.limits.timeoutMs,
    memoryBytes: spec.limits.memoryBytes,
    tty: spec.tty,
    ...(home === undefined ? {} : { home }),
  });
  const cwd = resolveWorkdir({ workdir: spec.workdir, hasCode, image });
  const config = buildConfig({
    template,
    spec,
    id: places.id,
    rootfs: rootfs.rootfs,
    ids,
    cgroupsPath: places.cgroupsPath,
    binds: rootfs.binds,
    locksBinds: locksBinds(plan.runtime),
    ...(rootfs.sysfs === undefined ? {} : { sysfs: rootfs.sysfs }),
    user: ownUser,
    command,
    env,
    cwd,
    host: installation.host,
    netSysctl: netSysctl(plan.runtime, installation.host),
    devices,
    throttles,
    ...(needsCgroupVersion(spec) ? { cgroupVersion: installation.cgroups.version } : {}),
    ...(seccompProfile === undefined ? {} : { seccompProfile }),
    ...(initBinary === undefined ? {} : { initBinary }),
  });
  return {
    config: toConfigJson(config),
    owner: toHostUser(user, ids),
    place: { command, env, cwd },
  };
}
