/** Waits for the end of a command, and learns all there is to know of it. */
import { existsSync } from 'node:fs';
import type { CgroupUsage } from '../cgroup/cgroup-driver.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { ExitSource } from '../runtime/exit-source.ts';
import { toStartFailure } from '../runtime/runtime-failure.ts';
import type { ProcessExit } from '../sys/system.ts';
import type { PhaseClock } from './build-result.ts';
import { decideCause, type StopCause, signalName } from './build-result.ts';
import type { DiskReport, DiskWatch } from './disk/disk-watch.ts';
import { killAll } from './ending/kill-processes.ts';
import type { TaskStopper } from './ending/stop-task.ts';
import type { TaskListener } from './events.ts';
import type { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import type { TaskPlan } from './plan-task.ts';
import type { OwnRecord } from './records/record.ts';
import { isOverdue } from './records/record.ts';
import type { StartedCommand } from './start-command.ts';
import type { OutputMeter } from './streams/task-output.ts';

/** How a task went, before anything of it is removed. */
export interface Execution {
  /** Null: the command never ran. */
  readonly exit: ProcessExit | null;
  /** Why the task was stopped; null: it was not. */
  readonly cause: StopCause | null;
  /** Why the command never ran, or what of its end could not be learnt: its exit, its usage or all of its output. */
  readonly error: StackshimError | null;
  /** Null: there was no cgroup to read, or it could not be read. */
  readonly usage: CgroupUsage | null;
  readonly wallMs: number | null;
  /** Null: the command never ran. */
  readonly diskReport: DiskReport | null;
}

export interface RunningCommand {
  readonly started: StartedCommand;
  readonly watched: ExitSource;
  /** On the clock of `performance`. */
  readonly startedAt: number;
  readonly diskWatch: DiskWatch;
  /** Resolves once nothing more is written in the task's name: see {@link cutOffOutput}. */
  readonly cutOff: Promise<void>;
}

export interface AccountContext {
  readonly installation: Installation;
  readonly clock: PhaseClock;
  readonly holdings: Holdings;
  readonly stopper: TaskStopper;
  readonly output: OutputMeter;
  readonly emit: TaskListener;
  readonly record: OwnRecord;
}

/** Of a command that ran, and whose exit was not to be learnt. */
const UNKNOWN_EXIT: ProcessExit = { exitCode: null, signal: null };

/** With the name of the signal. */
const named = ({ exitCode, signal }: ProcessExit) => ({
  exitCode,
  signal: signal === null ? null : signalName(signal),
});

/** Never rejects. */
export async function accountTask(
  plan: TaskPlan,
  { started, watched, startedAt, diskWatch, cutOff }: RunningCommand,
  { installation, clock, stopper, output, emit, holdings, record }: AccountContext,
): Promise<Execution> {
  const { cancelFile, cgroupsPath, id } = plan.container.places;
  const ended = await learn('wait for the task to end', () => watched.exited);
  // Nobody can tell any more when it ends by itself.
  if (ended.error !== null) stopper.killProcesses();
  const exit = ended.value ?? UNKNOWN_EXIT;
  const endedAt = watched.endedAt();
  if (started.hasStarted && watched.executed() && ended.error === null) {
    record.tryNote({ exit: { ...named(exit), at: new Date().toISOString() } });
  }
  const stop = stopper.end();
  clock.enter('account');
  // Its own time counts, not which of timer and exit was noticed first.
  const isLate = endedAt > started.endsAt || isOverdue(plan.container.places);
  const isCancelled = existsSync(cancelFile);
  await cutOff;
  output.finish();
  // The watch of limits looks at the same counters first: what it used counts, not how soon that was looked at.
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
  const execution = conclude(plan, {
    ...{ hasStarted: started.hasStarted, startError: started.error, exit, cause },
    executed: watched.executed(),
    error: started.error ?? ended.error ?? read.error ?? usage.error ?? disk.error,
    usage: usage.value,
    wallMs: Math.max(0, endedAt - startedAt),
    diskReport: disk.value,
    stderrHead: output.stderrHead,
  });
  if (execution.exit !== null) {
    emit({ type: 'exited', id, ...named(exit) });
  }
  return execution;
}

interface EndFacts extends Omit<Execution, 'exit'> {
  readonly hasStarted: boolean;
  readonly startError: StackshimError | null;
  readonly exit: ProcessExit;
  /** As {@link ExitSource.executed}. */
  readonly executed: boolean | undefined;
  readonly stderrHead: string;
}

/** Whether the command ran at all, and what that makes of its exit. */
function conclude({ container }: TaskPlan, facts: EndFacts): Execution {
  const { exit, cause, error, usage, wallMs, diskReport } = facts;
  // A start that failed half-way may have let the command run.
  if (!facts.hasStarted && (facts.startError === null || facts.executed !== true)) {
    return { exit: null, cause, error, usage, wallMs: null, diskReport };
  }
  if (facts.executed === false && exit.exitCode !== 0 && cause === null) {
    const { exitCode } = exit;
    const oomKills = usage?.oomKills ?? null;
    const failure = toStartFailure(container.runtime, {
      exitCode,
      oomKills,
      stderr: facts.stderrHead,
    });
    return { exit: null, cause, error: failure, usage, wallMs: null, diskReport: null };
  }
  return { exit, cause, error: error ?? toHostFull(exit, diskReport), usage, wallMs, diskReport };
}

type Learnt<T> =
  | { readonly value: T; readonly error: null }
  | { readonly value: null; readonly error: StackshimError };

/** What cannot be learnt of a task's end keeps nothing else from being learnt. */
async function learn<T>(what: string, look: () => T | Promise<T>): Promise<Learnt<T>> {
  try {
    return { value: await look(), error: null };
  } catch (error) {
    return { value: null, error: toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', what) };
  }
}

/**
 * Ends the task's output as soon as its first process has ended, whatever else is waited for: another process that was given one of the
 * task's descriptors may go on writing to it. Never rejects.
 */
export async function cutOffOutput(
  { container: { spec, places } }: TaskPlan,
  exited: Promise<ProcessExit>,
  { installation, output }: Pick<AccountContext, 'installation' | 'output'>,
): Promise<void> {
  // `accountTask` reports an exit that could not be learnt.
  await exited.catch(() => undefined);
  // No pid namespace has ended with it: whatever else it left in its cgroup still runs.
  if (spec.pid === 'host') await killLeft(installation, places.cgroupsPath);
  output.cutOff();
}

async function killLeft(installation: Installation, cgroupsPath: string): Promise<void> {
  try {
    await killAll(installation, cgroupsPath);
  } catch {
    // Removal tries again, and tells what is left.
  }
}

/** How soon a task that has ended, and is kept by a slow reader, notices that another process asks for its end. */
const CANCEL_LOOK_MS = 500;

/** A task that was stopped, be it by another process and only now, is not kept by whoever does not read. */
async function endOfOutput(
  output: OutputMeter,
  { isStopped, cancelFile }: { readonly isStopped: boolean; readonly cancelFile: string },
): Promise<void> {
  if (isStopped) output.hurry();
  const look = setInterval(() => {
    if (existsSync(cancelFile)) output.abandon();
  }, CANCEL_LOOK_MS);
  try {
    await output.ended();
  } finally {
    clearInterval(look);
  }
}

/** A task that failed while the host's disk was full may well succeed where there is room. */
function toHostFull(exit: ProcessExit, report: DiskReport | null): StackshimError | null {
  if (exit.exitCode === 0 || report?.wasHostFull !== true) return null;
  return new StackshimError('ERR_STACKSHIM_DISK_FULL', "run task: the host's disk was full");
}
