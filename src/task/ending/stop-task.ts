/**
 * Ends a task: a stop signal, TERM to every process unless the task has one of its own, then KILL to every process. Pid 1 alone would
 * not do, though its pid namespace takes all the others with it: it can wait for one of them, in the kernel, where KILL does not reach it.
 */
import { constants } from 'node:os';
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { pause } from '../../core/pause.ts';
import { hasExecuted, type SignalDisposition, signalDisposition } from '../../sys/ask-process.ts';
import { nsPidOf } from '../../sys/handled-process.ts';
import { signalProcess } from '../../sys/processes.ts';
import type { Fd } from '../../sys/system.ts';
import type { StopCause } from '../build-result.ts';
import type { Installation } from '../installation.ts';
import { killAll } from './kill-processes.ts';

const { SIGINT, SIGTERM, SIGKILL } = constants.signals;
/** After a kill that failed. */
const KILL_AGAIN_MS = 100;

/** A task's pid 1 and the cgroup of all its processes. */
export interface TaskProcesses {
  readonly pid: number;
  readonly pidfd: Fd;
  readonly cgroupsPath: string;
  /** Hands a signal to every process of the task; undefined where they are processes of the host. */
  readonly signalInside?: ((signal: number) => void) | undefined;
}

export interface TaskStopperOptions {
  readonly installation: Installation;
  /** Between the stop signal and KILL. */
  readonly graceMs: number;
  /** What a stop begins with. */
  readonly stopSignal: number;
  /** For a task that has passed its time: false when another process has sent the stop signal. */
  readonly claimOverdue: () => boolean;
  /** Called once, with the cause of the first stop. */
  readonly onStop: (cause: StopCause) => void;
}

export class TaskStopper {
  readonly #options: TaskStopperOptions;
  #task: TaskProcesses | undefined;
  readonly #stopped = new AbortController();
  #ended = false;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(options: TaskStopperOptions) {
    this.#options = options;
  }

  /** Aborts at the first stop. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** The cause of the first stop; null when there was none. */
  get cause(): StopCause | null {
    const { aborted, reason } = this.#stopped.signal;
    return aborted ? reason : null;
  }

  /**
   * True once there is nothing left to stop: asking for it has no effect any more. So it is when the task has ended and nobody has noticed yet.
   */
  get ended(): boolean {
    return this.#ended || (this.#task !== undefined && this.#hasEnded(this.#task));
  }

  #hasEnded({ pidfd }: TaskProcesses): boolean {
    try {
      return this.#options.installation.system.hasEnded(pidfd);
    } catch {
      // To signal a process that has ended does no harm.
      return false;
    }
  }

  /** Tells which processes to end. A stop that was asked for earlier is carried out now. */
  attach(task: TaskProcesses): void {
    this.#task = task;
    if (this.cause !== null) this.killProcesses();
  }

  /** The task has ended by itself or by us: nothing is signalled or stopped from here on. Returns why it was stopped; null: it was not. */
  end(): StopCause | null {
    this.#ended = true;
    this.#task = undefined;
    clearTimeout(this.#killTimer);
    return this.cause;
  }

  /**
   * The stop signal, or `signal` where pid 1 acts on that, and KILL after the grace time. The first cause stays; asking again does not
   * wait any longer.
   */
  stop(cause: StopCause, signal?: number): void {
    if (this.ended) return;
    const again = this.cause !== null;
    this.#note(cause);
    if (this.#task === undefined) return;
    if (again) this.killProcesses();
    else if (cause === 'timed_out' && !this.#claimOverdue()) this.#killLater();
    else void this.#terminate(this.#task, signal);
  }

  /** KILL at once. */
  kill(cause: StopCause): void {
    if (this.ended) return;
    this.#note(cause);
    this.killProcesses();
  }

  #note(cause: StopCause): void {
    if (this.cause !== null) return;
    this.#options.onStop(cause);
    this.#stopped.abort(cause);
  }

  /**
   * KILL at once, without a cause: the task is given up for another reason. Never throws, since timers and listeners call it: a kill
   * that fails is tried again until the task has ended.
   */
  killProcesses(): void {
    if (this.#task === undefined) return;
    const task = this.#task;
    this.#kill(task).catch(() => {
      if (this.#task !== task) return;
      this.#killTimer = setTimeout(() => this.killProcesses(), KILL_AGAIN_MS);
    });
  }

  async #kill(task: TaskProcesses): Promise<void> {
    const { installation } = this.#options;
    // First, and also where the cgroup cannot be read.
    tryKill(installation, task.pidfd);
    await killAll(installation, task.cgroupsPath, () => this.#task === task);
  }

  async #terminate(task: TaskProcesses, signal: number | undefined): Promise<void> {
    const { installation, stopSignal } = this.#options;
    let ends = false;
    try {
      ends = await terminateTask(installation.cgroups, task, { stopSignal, signal });
    } catch {
      // Not awaited: a task that could not be signalled is killed below.
    }
    if (this.#ended) return;
    if (!ends) this.killProcesses();
    else this.#killLater();
  }

  #claimOverdue(): boolean {
    try {
      return this.#options.claimOverdue();
    } catch {
      // Twice the signal is better than none.
      return true;
    }
  }

  #killLater(): void {
    this.#killTimer = setTimeout(() => this.killProcesses(), this.#options.graceMs);
  }
}

function tryKill({ system }: Installation, pidfd: Fd): void {
  try {
    system.signalPidfd(pidfd, SIGKILL);
  } catch {
    // What the kernel does not do for a descriptor it may do for a pid.
  }
}

export interface StopSignals {
  /** TERM goes to every process of the task; any other is one that its pid 1 has chosen, and goes there alone. */
  readonly stopSignal: number;
  /** Sent to every process instead, as a terminal does, where pid 1 acts on it. */
  readonly signal?: number | undefined;
}

/**
 * Asks a task to end by a signal; false when waiting for it to end makes no sense.
 * What runs in a sandbox cannot be asked for its handlers: there it always does, and of other signals than the stop signal INT alone is
 * sent, which most programs end by.
 */
export async function terminateTask(
  cgroups: CgroupDriver,
  { pid, cgroupsPath, signalInside }: Omit<TaskProcesses, 'pidfd'>,
  { stopSignal, signal }: StopSignals,
): Promise<boolean> {
  if (signalInside !== undefined) {
    signalInside(signal === SIGINT ? signal : stopSignal);
    return true;
  }
  if (signal !== undefined && (await actsOnSignal(pid, signal))) {
    for (const each of cgroups.listProcesses(cgroupsPath)) signalProcess(each, signal);
    return true;
  }
  const ends = await actsOnSignal(pid, stopSignal);
  const asked = cgroups.listProcesses(cgroupsPath);
  for (const each of asked) {
    if (stopSignal === SIGTERM || each === pid) signalProcess(each, stopSignal);
  }
  return ends;
}

/** Between looks at a process that has the signal blocked: five looks in less than a tenth of a second. */
const PAUSES_MS = [1, 4, 16, 64];

/**
 * Whether it makes sense to wait for a task's first process to act on a signal. False for a pid 1 without a handler: the kernel drops the signal. While it has not become its command yet the handlers are the
 * runtime's, which mean nothing. False, too, for a process that does not let itself be asked.
 */
async function actsOnSignal(pid: number, signal: number): Promise<boolean> {
  if ((await hasExecuted(pid)) !== true) return false;
  if (nsPidOf(pid) !== 1) return true;
  return await isWaitedFor(() => signalDisposition(pid, signal));
}

/**
 * A process that takes the signal by signalfd(2) has it blocked whenever one looks. The C library blocks every signal while it forks:
 * a shell that is seen just then would be waited for in vain.
 */
export async function isWaitedFor(
  look: () => Promise<SignalDisposition | undefined>,
): Promise<boolean> {
  for (const pauseMs of PAUSES_MS) {
    const seen = await look();
    if (seen !== 'blocked') return seen === 'handled';
    await pause(pauseMs);
  }
  return ['handled', 'blocked'].includes((await look()) ?? '');
}
