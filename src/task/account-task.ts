/** Waits for a command's end, and collects everything that is known about it. */
import { existsSync } from 'node:fs';
import type { CgroupUsage } from '../cgroup/cgroup-driver.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { ExitSource } from '../runtime/exit-source.ts';
import { signalName } from '../sys/processes.ts';
import type { ProcessExit } from '../sys/system.ts';
import { decideCause, type StopCause } from './build-result.ts';
import type { DiskReport, DiskWatch } from './disk/disk-watch.ts';
import { killAll } from './ending/kill-processes.ts';
import type { TaskPlan } from './plan-task.ts';
import type { PrepareContext } from './prepare-container.ts';
import { isOverdue } from './records/record.ts';
import type { StartContext, StartedCommand } from './start-command.ts';
import type { OutputMeter } from './streams/task-output.ts';

/** Everything known about a task's run before any of the task is removed. */
export interface Execution {
  /** Null if the command never ran. */
  readonly exit: ProcessExit | null;
  /** Why the task was stopped; null if it was not. */
  readonly cause: StopCause | null;
  /** Why the command never ran, or which part of its end could not be determined: exit, usage or complete output. */
  readonly error: StackshimError | null;
  /** Null if the task had no cgroup, or the cgroup could not be read. */
  readonly usage: CgroupUsage | null;
  readonly wallMs: number | null;
  /** Null if the command never ran. */
  readonly diskReport: DiskReport | null;
}

export interface RunningCommand {
  readonly started: StartedCommand;
  readonly watched: ExitSource;
  /** On the clock of `performance`. */
  readonly startedAt: number;
  readonly diskWatch: DiskWatch;
  /** Resolves when the task's output is complete; see {@link cutOffOutput}. */
  readonly cutOff: Promise<void>;
}

export interface AccountContext
  extends Omit<PrepareContext, 'signal'>,
    Pick<StartContext, 'stopper' | 'output' | 'emit'> {}

/** The exit of a command that ran, but whose exit could not be determined. */
const UNKNOWN_EXIT: ProcessExit = { exitCode: null, signal: null };

/** Replaces the signal's number with its name. */
const named = ({ exitCode, signal }: ProcessExit) => ({
  exitCode,
  signal: signal === null ? null : signalName(signal),
});

/** Collects the facts about the task's end. Never rejects. */
export async function accountTask(
  plan: TaskPlan,
  { started, watched, startedAt, diskWatch, cutOff }: RunningCommand,
  { installation, clock, stopper, output, emit, holdings, record }: AccountContext,
): Promise<Execution> {
  const { cancelFile, cgroupsPath, id } = plan.container.places;
  const ended = await learn('wait for the task to end', () => watched.exited);
  // If the exit cannot be watched, only a kill ensures that the task ends.
  if (ended.error !== null) stopper.killProcesses();
  const exit = ended.value ?? UNKNOWN_EXIT;
  const endedAt = watched.endedAt();
  if (started.hasStarted && watched.executed() && ended.error === null) {
    record.tryNote({ exit: { ...named(exit), at: new Date().toISOString() } });
  }
  const stop = stopper.end();
  clock.enter('account');
  // The task's own end time counts, not whether the timer or the exit was noticed first.
  const isLate = endedAt > started.endsAt() || isOverdue(plan.container.places);
  const isCancelled = existsSync(cancelFile);
  await cutOff;
  holdings.get('progress')?.finish();
  output.finish();
  // Check the limits before reading the same counters as usage: an exceeded limit counts, however late it is noticed.
  const passed = await learn("read the task's usage", () => started.watch?.judge() ?? null);
  const usage = await learn("read the task's usage", () => {
    if (passed.error !== null) throw passed.error;
    const read = installation.cgroups.readUsage(cgroupsPath);
    return started.sockets?.addTo(read) ?? read;
  });
  const disk = await learn("measure the task's disk", () =>
    started.hasStarted ? diskWatch.finish() : null,
  );
  const isDiskPassed =
    disk.value?.wasFull === true && holdings.get('disk')?.mechanism === 'sampling';
  const evidence = {
    ...{ stop, isCancelled, isOverdue: isLate, passed: passed.value, isDiskPassed },
    isOutputPassed: output.isLimitPassed,
  };
  const read = await learn("read the task's output", () =>
    endOfOutput(output, { isStopped: decideCause(evidence) !== null, cancelFile }),
  );
  const cause = decideCause({ ...evidence, isOutputPassed: output.isLimitPassed });
  if (stop === null && cause !== null) emit({ type: 'stopping', id, cause });
  const execution = await conclude(plan, { started, watched }, output, {
    exit,
    cause,
    error: started.error ?? ended.error ?? read.error ?? usage.error ?? disk.error,
    usage: usage.value,
    wallMs: Math.max(0, endedAt - startedAt),
    diskReport: disk.value,
  });
  if (execution.exit !== null) {
    emit({ type: 'exited', id, ...named(exit) });
  }
  return execution;
}

/** Decides whether the command ran at all, and what its exit means. */
async function conclude(
  { container }: TaskPlan,
  { started, watched }: Pick<RunningCommand, 'started' | 'watched'>,
  { stderrHead }: OutputMeter,
  ended: Execution & { readonly exit: ProcessExit },
): Promise<Execution> {
  const executed = watched.executed();
  const { exit, usage, diskReport } = ended;
  // The command may have run although the start failed halfway.
  if (!started.hasStarted && (started.error === null || executed !== true)) {
    return { ...ended, exit: null, wallMs: null };
  }
  if (executed === false && exit.exitCode !== 0 && ended.cause === null) {
    const { toStartFailure } = await import('../runtime/runtime-failure.ts');
    const facts = {
      exitCode: exit.exitCode,
      oomKills: usage?.oomKills ?? null,
      stderr: stderrHead,
    };
    const error = toStartFailure(container.runtime, facts);
    return { ...ended, exit: null, error, wallMs: null, diskReport: null };
  }
  return { ...ended, error: ended.error ?? toHostFull(exit, diskReport) };
}

type Learnt<T> =
  | { readonly value: T; readonly error: null }
  | { readonly value: null; readonly error: StackshimError };

/** Runs one step of the accounting; its failure must not prevent the others. */
async function learn<T>(what: string, look: () => T | Promise<T>): Promise<Learnt<T>> {
  try {
    return { value: await look(), error: null };
  } catch (error) {
    return { value: null, error: toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', what) };
  }
}

/**
 * Ends the task's output when its first process has ended: others may
 * still hold descriptors and write. Waits for nothing else. Never rejects.
 */
export async function cutOffOutput(
  { container: { spec, places } }: TaskPlan,
  exited: Promise<ProcessExit>,
  { installation, output }: Pick<AccountContext, 'installation' | 'output'>,
): Promise<void> {
  // `accountTask` reports an exit that could not be determined.
  await exited.catch(() => undefined);
  // Without a pid namespace of its own, the task's other processes outlive the first. Removal tries again, and reports what is left.
  if (spec.pid === 'host') await killAll(installation, places.cgroupsPath).catch(() => undefined);
  output.cutOff();
}

/** How often a task that has ended, but waits for a slow reader, checks whether another process has requested its end. */
const CANCEL_LOOK_MS = 500;

/** Waits for the rest of the output. A reader that does not read must not delay a stopped task, even one that another process stops only now. */
async function endOfOutput(
  output: OutputMeter,
  { isStopped, cancelFile }: { readonly isStopped: boolean; readonly cancelFile: string },
): Promise<void> {
  if (isStopped) output.hurry();
  const look = setInterval(() => {
    if (existsSync(cancelFile)) output.dropSinks();
  }, CANCEL_LOOK_MS);
  try {
    await output.ended();
  } finally {
    clearInterval(look);
  }
}

/** The error of a task that failed while the host's disk was full: it may succeed on a host with free space. */
function toHostFull(exit: ProcessExit, report: DiskReport | null): StackshimError | null {
  if (exit.exitCode === 0 || report?.wasHostFull !== true) return null;
  return new StackshimError('ERR_STACKSHIM_DISK_FULL', "run task: the host's disk was full");
}
