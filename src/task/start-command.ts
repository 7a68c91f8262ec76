/** Starts the command of a created container, and arms its limits. */
import { writeFileSync } from 'node:fs';
import type { StackshimError } from '../core/errors.ts';
import { startTimer } from '../core/pause.ts';
import { startContainer } from '../runtime/drive-container.ts';
import { monotonicMs, wasDelayed } from '../sys/clocks.ts';
import type { ProcessExit } from '../sys/system.ts';
import type { CreatedTask } from './create-task.ts';
import type { LimitWatch } from './ending/limit-watch.ts';
import { openSocketWatch, type SocketWatch } from './ending/socket-watch.ts';
import type { TaskStopper } from './ending/stop-task.ts';
import type { TaskListener } from './events.ts';
import type { Installation } from './installation.ts';
import type { TaskPlan } from './plan-task.ts';
import { type TimeLimit, toStoredTimeLimit } from './records/record.ts';
import type { TaskPlaces } from './records/task-places.ts';
import { toSetupError } from './setup-error.ts';
import type { OutputMeter } from './streams/task-output.ts';

export interface StartContext {
  readonly installation: Installation;
  readonly stopper: TaskStopper;
  readonly output: OutputMeter;
  readonly emit: TaskListener;
  /** The caller's deadline on the clock of `performance`; infinity: none. */
  readonly deadlineAt: number;
  readonly exited: Promise<ProcessExit>;
  /** Whether the task's pid 1 has ended. */
  readonly hasEnded: () => boolean;
  /** On the clock of `performance`, like all times below. */
  readonly startedAt: number;
}

export interface StartedCommand {
  /** False if the task was stopped earlier, or if the start failed; the init is then killed. */
  readonly hasStarted: boolean;
  /** The time by which the task must end; infinity if it was not started. Another process may change it while the task runs. */
  endsAt(): number;
  readonly error: StackshimError | null;
  readonly watch?: LimitWatch | undefined;
  readonly sockets?: SocketWatch | undefined;
  /** Call it after the task's output was read. */
  stopWatching(): void;
}

const notStarted = (error: StackshimError | null): StartedCommand => ({
  hasStarted: false,
  endsAt: () => Number.POSITIVE_INFINITY,
  error,
  stopWatching: () => undefined,
});

/** Starts the command: before the first await, unless a module must be loaded. Never rejects. */
export async function startCommand(
  plan: TaskPlan,
  { commandIsThere, detachMounts, init: { pid } }: CreatedTask,
  context: StartContext,
): Promise<StartedCommand> {
  const { installation, stopper, output, emit, startedAt } = context;
  const { places, spec, runtime } = plan.container;
  if (stopper.cause !== null) return notStarted(null);
  let watch: LimitWatch | undefined;
  let sockets: SocketWatch | undefined;
  try {
    if (needsWatch(plan)) watch = await openWatch(plan, installation);
    sockets = openSocketWatch(plan.container, installation, pid);
    await startContainer(runtime, places, {
      hasEnded: context.hasEnded,
      logFile: places.logFile,
      hostNetwork: spec.network === 'host',
      signal: stopper.signal,
    });
  } catch (error) {
    sockets?.stop();
    if (stopper.cause !== null) return notStarted(null);
    stopper.killProcesses();
    if (!commandIsThere) return notStarted(toSetupError(error, places));
    const { toExecutionError } = await import('./inspect-command.ts');
    return notStarted(toSetupError(toExecutionError(error), places));
  }
  // Take the time before a listener can delay it. After any other delay, the command's begin is unknown: assume the earliest.
  const begunAt = wasDelayed() ? startedAt : performance.now();
  // A listener of `started` must find no mount of the task on the host.
  await detachMounts();
  emit({ type: 'started', id: places.id });
  const time = keepTime(places, begunAt, {
    timeoutMs: plan.command.spec.limits.timeoutMs,
    // The time limit also applies to the readers of the task's output.
    onOver: () => (stopper.ended ? output.hurry() : stopper.stop('timed_out')),
    onLimit({ memoryBytes, cpus }) {
      if (memoryBytes !== undefined) sockets?.setMemory(memoryBytes);
      if (cpus !== undefined) watch?.setCpus(cpus);
    },
  });
  // Kill at once: in a grace time, the task would use even more.
  watch?.start((cause) => stopper.kill(cause));
  sockets?.start(() => stopper.kill('oom_killed'));
  const stopWatches = () => {
    time.stopFollowing();
    watch?.stop();
    sockets?.stop();
  };
  void context.exited.finally(stopWatches).catch(() => undefined);
  return {
    hasStarted: true,
    endsAt: () => Math.min(time.endsAt(), context.deadlineAt),
    error: null,
    watch,
    sockets,
    stopWatching() {
      time.cancel();
      stopWatches();
    },
  };
}

/** Most tasks end sooner, and need no code that follows changes. */
const FOLLOW_AFTER_MS = 1_000;

interface RunningTimeOptions {
  readonly timeoutMs: number;
  readonly onOver: () => void;
  /** Called with each change of the limits that the owner enforces. */
  readonly onLimit: (limit: TimeLimit) => void;
}

/** Keeps a running command's time, on the clock of `performance`, and follows changes by other processes. */
function keepTime(places: TaskPlaces, begunAt: number, options: RunningTimeOptions) {
  let endsAt = begunAt + options.timeoutMs;
  let isFollowing = true;
  let endFollowing: (() => void) | undefined;
  let cancelTimer: (() => void) | undefined;
  const arm = () => {
    cancelTimer?.();
    cancelTimer = startTimer(endsAt - performance.now(), () => void end());
  };
  /** Adopts a changed time limit; returns whether the end has changed. */
  const adopt = ({ timeoutMs }: TimeLimit): boolean => {
    const before = endsAt;
    if (timeoutMs !== undefined) endsAt = begunAt + timeoutMs;
    return endsAt !== before;
  };
  const follow = async () => {
    try {
      const { followLimit } = await import('./ending/follow-limits.ts');
      if (!isFollowing) return;
      endFollowing = followLimit(places, (limit) => {
        options.onLimit(limit);
        if (adopt(limit)) arm();
      });
    } catch {
      // Without free descriptors, no code can be loaded. The known limits hold, and the end of the time is checked once more.
    }
  };
  /** Reads the limit again first: another process may just have extended it. */
  const end = async () => {
    try {
      const { readTimeLimit } = await import('./records/read-time-limit.ts');
      const limit = isFollowing ? readTimeLimit(places) : undefined;
      if (limit !== undefined && adopt(limit) && endsAt > performance.now()) return arm();
    } catch {
      // The known limit holds.
    }
    options.onOver();
  };
  const followTimer = setTimeout(() => void follow(), FOLLOW_AFTER_MS);
  arm();
  const stopFollowing = () => {
    isFollowing = false;
    clearTimeout(followTimer);
    endFollowing?.();
  };
  const cancel = () => {
    stopFollowing();
    cancelTimer?.();
  };
  return { endsAt: () => endsAt, stopFollowing, cancel };
}

/** Whether a limit must be watched. Otherwise the kernel and timers enforce all limits, and nothing is loaded or read. */
const needsWatch = ({ container, command }: TaskPlan) =>
  command.spec.limits.cpuTimeMs !== undefined || container.spec.oomGroup;

async function openWatch(
  { container: { spec, places }, command }: TaskPlan,
  { cgroups, host }: Installation,
): Promise<LimitWatch> {
  const { openLimitWatch } = await import('./ending/limit-watch.ts');
  const { cpus } = spec.limits;
  const { cpuTimeMs } = command.spec.limits;
  const { cgroupsPath } = places;
  const { oomGroup } = spec;
  return openLimitWatch({ cgroups, cgroupsPath, cpuTimeMs, cpus, hostCpus: host.cpus, oomGroup });
}

/** Stores the time limit for other processes; takes times on the clock of `performance`. Call it when the command has begun. */
export function storeTimeLimit(
  { container, command }: TaskPlan,
  startedAt: number,
  deadlineAt: number,
): void {
  const { timeoutMs, stopTimeoutMs } = command.spec.limits;
  try {
    const toMonotonic = (at: number) => Math.max(0, monotonicMs() + (at - performance.now()));
    const limit = toStoredTimeLimit({
      endsAtMs: toMonotonic(Math.min(startedAt + timeoutMs, deadlineAt)),
      graceMs: stopTimeoutMs,
      begunAtMs: toMonotonic(startedAt),
      ...(deadlineAt === Number.POSITIVE_INFINITY ? {} : { deadlineMs: toMonotonic(deadlineAt) }),
    });
    writeFileSync(container.places.limitFile, limit, { mode: 0o600 });
  } catch {
    // The command runs, and its owner enforces the time limit.
  }
}
