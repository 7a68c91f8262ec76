/** One task from its record to its end: prepare, start, wait, account. Never rejects; removal is the caller's next step. */
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { CgroupDriver, CgroupUsage } from '../cgroup/cgroup-driver.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { scratchDir } from '../core/layout.ts';
import { toStartFailure } from '../runtime/runtime-failure.ts';
import { startContainer } from '../runtime/start-container.ts';
import { wasHeldUp } from '../sys/loop-beat.ts';
import type { ProcessExit } from '../sys/system.ts';
import type { TenantSeat } from './admission/join-tenant.ts';
import type { SetUpTurn } from './admission/set-up-turns.ts';
import type { Slot } from './admission/slot.ts';
import { signalName } from './decide-verdict.ts';
import { type DiskReport, DiskWatch } from './disk/disk-watch.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import { startTimer } from './ending/deadline-timer.ts';
import { killAll } from './ending/kill-processes.ts';
import type { LimitWatch } from './ending/limit-watch.ts';
import { openSocketWatch } from './ending/open-socket-watch.ts';
import type { SocketWatch } from './ending/socket-watch.ts';
import type { TaskStopper } from './ending/stop-task.ts';
import { noteUnseenStop, tellTimeLimit } from './ending/time-limit.ts';
import type { TaskListener } from './events.ts';
import type { Installation } from './installation.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { TaskPlan } from './plan-task.ts';
import { containerOf, type PreparedTask, prepareTask } from './prepare-task.ts';
import { sandboxOf, watchSandbox } from './sandbox.ts';
import { toSetupError } from './setup-error.ts';
import type { OutputMeter } from './streams/task-output.ts';
import type { TaskStreams } from './streams/task-streams.ts';
import type { TaskTerminal } from './streams/terminal-streams.ts';
import { type ExitWatch, watchExit } from './watch-exit.ts';

export interface ExecutionContext {
  readonly installation: Installation;
  readonly clock: PhaseClock;
  /** Ended once the container is there. */
  readonly setUp: SetUpTurn;
  readonly stopper: TaskStopper;
  readonly output: OutputMeter;
  readonly emit: TaskListener;
  /** Aborts once the task is to be cancelled: ends the runtime while the container is being created. */
  readonly signal: AbortSignal;
  /** When the caller's deadline is, on the clock of `performance`; infinity: there is none. */
  readonly deadlineAt: number;
  readonly stdin: Readable | undefined;
  readonly terminal: TaskTerminal | undefined;
}

export interface Execution {
  /** Null: the command never ran. */
  readonly exit: ProcessExit | null;
  /** Why the command never ran, or what of its end could not be learnt: its exit, its usage or all of its output. */
  readonly error: StackshimError | null;
  /** Null: there was no cgroup to read, or it could not be read. */
  readonly usage: CgroupUsage | null;
  readonly wallMs: number | null;
  /** Null: the command never ran. */
  readonly diskReport: DiskReport | null;
  /** What removal is to remove; undefined: there is none, or only the beginnings of one. */
  readonly disk: TaskDisk | undefined;
  /** What removal is to release last. */
  readonly slot: Slot | undefined;
  /** With a tenant; likewise. */
  readonly seat: TenantSeat | undefined;
}

export async function executeTask(plan: TaskPlan, context: ExecutionContext): Promise<Execution> {
  let slot: Slot | undefined;
  let seat: TenantSeat | undefined;
  let disk: TaskDisk | undefined;
  let streams: TaskStreams | undefined;
  const onSlot = (claimed: Slot) => {
    slot = claimed;
  };
  const onSeat = (joined: TenantSeat) => {
    seat = joined;
  };
  const onDisk = (opened: TaskDisk) => {
    disk = opened;
  };
  const onStreams = (opened: TaskStreams) => {
    streams = opened;
  };
  try {
    const { installation, clock, signal, terminal } = context;
    const prepared = await prepareTask(plan, {
      installation,
      clock,
      signal,
      terminal,
      onSlot,
      onSeat,
      onDisk,
      onStreams,
    });
    context.setUp.end();
    context.emit({ type: 'created', id: plan.places.id, pid: prepared.init.pid });
    try {
      return { ...(await runPrepared(plan, prepared, context)), slot, seat, disk };
    } finally {
      await prepared.detachMounts();
    }
  } catch (thrown) {
    const error = toSetupError(thrown, plan.places);
    const unused = { exit: null, usage: null, wallMs: null, diskReport: null };
    return { ...unused, error, slot, seat, disk };
  } finally {
    streams?.close();
  }
}

async function runPrepared(
  plan: TaskPlan,
  prepared: PreparedTask,
  context: ExecutionContext,
): Promise<Omit<Execution, 'slot' | 'seat' | 'disk'>> {
  const { installation, clock, stopper, output } = context;
  const { system, cgroups, exits } = installation;
  const { cgroupsPath, cancelFile, id } = plan.places;
  const { pid } = prepared.init;
  const pidfd = system.openPidfd(pid);
  let cancelTimer: (() => void) | undefined;
  let watched: ExitWatch | undefined;
  try {
    watched = watchExit(exits, { pid, pidfd });
    const { exited } = watched;
    prepared.streams.connect(output, context.stdin);
    const sandbox = sandboxOf(plan.places, plan.runtime);
    const seenFrom = sandbox && watchSandbox(sandbox);
    stopper.attach({ pid, pidfd, cgroupsPath, sandbox });
    if (existsSync(cancelFile)) stopper.kill('cancelled');
    // From here on the command may run: what it takes is its own, even while this process is not looking.
    clock.enter('run');
    const startedAt = performance.now();
    const hasEnded = () => system.hasEnded(pidfd);
    const starting = startOrKill(plan, prepared, { context, exited, hasEnded, startedAt });
    // While its init becomes the command.
    tellTimeLimit(plan, startedAt, context.deadlineAt);
    void prepared.detachMounts();
    const start = await starting;
    cancelTimer = start.cancelTimer;
    const diskWatch = new DiskWatch(prepared.disk, {
      hostFolder: scratchDir(installation.layout),
      onFull: () => onDiskFull(prepared.disk, stopper),
    });
    if (start.started) diskWatch.start();
    // Not before the `started` event, however soon the command has written something.
    output.release();
    const { exit: ended, error: exitError } = await exitOf(exited, stopper);
    const exit = (await seenFrom?.(ended)) ?? ended;
    const wallMs = Math.max(0, watched.endedAt() - startedAt);
    stopper.detach();
    clock.enter('account');
    noteUnseenStop(stopper, plan.places, { hasPassedLimit: watched.endedAt() > start.endsAt });
    // No pid namespace has ended with it: whatever else it left in its cgroup still runs.
    if (plan.spec.pid === 'host') await killLeft(installation, cgroupsPath);
    // Whoever was given its descriptors may go on writing to them: no longer in its name.
    output.finish();
    // What it used counts, not how soon that was looked at.
    const { usage, error: usageError } = readUsage(cgroups, cgroupsPath, { start, stopper });
    const { diskReport, error: diskError } = await diskReportOf(start.started, diskWatch);
    const outputError = await endOfOutput(output, { stopper, cancelFile });
    const error = start.error ?? exitError ?? outputError ?? usageError ?? diskError;
    // A start that failed half-way may have let the command run. A sandbox is a program before that, but tells only of a command's end.
    const executed = watched.executed();
    const ran = sandbox === undefined ? executed : exit !== ended;
    if (!start.started && (start.error === null || !ran)) {
      return { exit: null, error, usage, wallMs: null, diskReport };
    }
    if (!executed && exit.exitCode !== 0 && stopper.cause === null) {
      const { exitCode } = exit;
      const oomKills = usage?.oomKills ?? null;
      const stderr = output.stderrHead;
      const failure = toStartFailure(plan.runtime, { exitCode, stderr, oomKills });
      return { exit: null, error: failure, usage, wallMs: null, diskReport: null };
    }
    const signal = exit.signal === null ? null : signalName(exit.signal);
    context.emit({ type: 'exited', id, exitCode: exit.exitCode, signal });
    return { exit, error: error ?? toHostFull(exit, diskReport), usage, wallMs, diskReport };
  } finally {
    cancelTimer?.();
    watched?.stop();
    stopper.detach();
    output.finish();
    system.close(pidfd);
  }
}

async function killLeft(installation: Installation, cgroupsPath: string): Promise<void> {
  try {
    await killAll(installation, cgroupsPath);
  } catch {
    // Removal tries again, and tells what is left.
  }
}

/** False when the kernel and timers enforce all limits of the task: nothing is loaded or read then. */
const needsWatch = ({ spec: { limits, oomGroup } }: TaskPlan) =>
  limits.cpuTimeMs !== undefined || oomGroup;

async function openWatch(
  { spec, places }: TaskPlan,
  { cgroups, host }: Installation,
): Promise<LimitWatch> {
  const { LimitWatch } = await import('./ending/limit-watch.ts');
  const { cpuTimeMs, cpus } = spec.limits;
  const { cgroupsPath } = places;
  const { oomGroup } = spec;
  return new LimitWatch({ cgroups, cgroupsPath, cpuTimeMs, cpus, hostCpus: host.cpus, oomGroup });
}

interface StartOptions {
  readonly context: ExecutionContext;
  readonly exited: Promise<ProcessExit>;
  /** Of the task's pid 1. */
  readonly hasEnded: () => boolean;
  /** On the clock of `performance`, as all that follow. */
  readonly startedAt: number;
}

interface Start {
  readonly started: boolean;
  /** By when the task must have ended; infinity when it was not started. */
  readonly endsAt: number;
  /** Why it failed. */
  readonly error: StackshimError | null;
  readonly watch?: LimitWatch | undefined;
  readonly sockets?: SocketWatch | undefined;
  /** To be called once the task's output was read. */
  readonly cancelTimer?: () => void;
}

const NOT_STARTED = { started: false, endsAt: Number.POSITIVE_INFINITY };

/**
 * Lets the command run, before it returns where nothing has to be loaded first, and arms its time limits. When it is not to run any
 * more, or the start fails, its init has been killed.
 */
async function startOrKill(
  plan: TaskPlan,
  { commandIsThere, detachMounts, init: { pid } }: PreparedTask,
  { context, exited, hasEnded, startedAt }: StartOptions,
): Promise<Start> {
  const { stopper, emit } = context;
  const { places, spec, runtime } = plan;
  if (stopper.cause !== null) return { ...NOT_STARTED, error: null };
  let watch: LimitWatch | undefined;
  let sockets: SocketWatch | undefined;
  try {
    if (needsWatch(plan)) watch = await openWatch(plan, context.installation);
    sockets = openSocketWatch(plan, context.installation, pid);
    await startContainer(runtime, containerOf(plan), {
      hasEnded,
      logFile: places.logFile,
      hostNetwork: spec.network === 'host',
      signal: context.signal,
    });
  } catch (error) {
    sockets?.stop();
    if (stopper.cause !== null) return { ...NOT_STARTED, error: null };
    stopper.killProcesses();
    const failure = commandIsThere ? await toExecutionFailure(error) : error;
    return { ...NOT_STARTED, error: toSetupError(failure, places) };
  }
  // Before a listener can hold this up. Where something else has, nobody knows when the command began.
  const begunAt = wasHeldUp() ? startedAt : performance.now();
  const endsAt = begunAt + spec.limits.timeoutMs;
  // Whoever hears of the start finds no mount of the task on the host any more.
  await detachMounts();
  emit({ type: 'started', id: places.id });
  const cancelTimer = startTimer(endsAt - performance.now(), () => {
    // Its time is also that of whoever reads what it wrote.
    if (stopper.ended) context.output.hurry();
    else stopper.stop('timed_out');
  });
  // At once: while it was given time to end it would use more of what it may not have.
  watch?.start((cause) => stopper.kill(cause));
  sockets?.start(() => stopper.kill('oom_killed'));
  const stopWatches = () => {
    watch?.stop();
    sockets?.stop();
  };
  void exited.finally(stopWatches).catch(() => undefined);
  return {
    started: true,
    endsAt: Math.min(endsAt, context.deadlineAt),
    error: null,
    watch,
    sockets,
    cancelTimer() {
      cancelTimer();
      stopWatches();
    },
  };
}

async function toExecutionFailure(error: unknown): Promise<unknown> {
  const { toExecutionError } = await import('./inspect-command.ts');
  return toExecutionError(error);
}

/** Of a command that ran, and whose exit was not to be learnt. */
const UNKNOWN_EXIT: ProcessExit = { exitCode: null, signal: null };

interface Ended {
  readonly exit: ProcessExit;
  readonly error: StackshimError | null;
}

async function exitOf(exited: Promise<ProcessExit>, stopper: TaskStopper): Promise<Ended> {
  try {
    return { exit: await exited, error: null };
  } catch (error) {
    // Nobody can tell any more when it ends by itself.
    stopper.killProcesses();
    const lost = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'wait for the task to end');
    return { exit: UNKNOWN_EXIT, error: lost };
  }
}

/** The watch of limits looks at the same counters first. */
function readUsage(
  cgroups: CgroupDriver,
  cgroupsPath: string,
  { start, stopper }: { readonly start: Start; readonly stopper: TaskStopper },
): { readonly usage: CgroupUsage | null; readonly error: StackshimError | null } {
  try {
    const passed = start.watch?.judge() ?? null;
    if (passed !== null) stopper.note(passed);
    const usage = cgroups.readUsage(cgroupsPath);
    return { usage: start.sockets?.addTo(usage) ?? usage, error: null };
  } catch (error) {
    const unread = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "read the task's usage");
    return { usage: null, error: unread };
  }
}

/** How soon a task that has ended, and is kept by a slow reader, notices that another process asks for its end. */
const CANCEL_LOOK_MS = 500;

interface DiskEnd {
  readonly diskReport: DiskReport | null;
  readonly error: StackshimError | null;
}

async function diskReportOf(started: boolean, watch: DiskWatch): Promise<DiskEnd> {
  try {
    return { diskReport: started ? await watch.finish() : null, error: null };
  } catch (error) {
    const unread = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "measure the task's disk");
    return { diskReport: null, error: unread };
  }
}

/** A limit that nothing else enforces is enforced here. */
function onDiskFull({ mechanism }: TaskDisk, stopper: TaskStopper): void {
  if (mechanism !== 'sampling') return;
  stopper.note('disk_full');
  stopper.killProcesses();
}

/** A task that failed while the host's disk was full may well succeed where there is room. */
function toHostFull(exit: ProcessExit, report: DiskReport | null): StackshimError | null {
  if (exit.exitCode === 0 || report?.wasHostFull !== true) return null;
  return new StackshimError('ERR_STACKSHIM_DISK_FULL', "run task: the host's disk was full");
}

/** A task that was stopped, be it by another process and only now, is not kept by whoever does not read. */
async function endOfOutput(
  output: OutputMeter,
  { stopper, cancelFile }: { readonly stopper: TaskStopper; readonly cancelFile: string },
): Promise<StackshimError | null> {
  if (stopper.cause !== null) output.hurry();
  const look = setInterval(() => {
    if (existsSync(cancelFile)) output.abandon();
  }, CANCEL_LOOK_MS);
  try {
    await output.ended();
    return null;
  } catch (error) {
    return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "read the task's output");
  } finally {
    clearInterval(look);
  }
}
