/**
 * Ends a task: sends a stop signal (TERM to every process, or the task's own signal to its pid
 * 1), then KILL to every process. Killing only pid 1 is not enough, although this ends the pid
 * namespace: pid 1 may wait in the kernel for another process, where KILL does not reach it.
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
/** Pause after a failed kill. */
const KILL_AGAIN_MS = 100;

/** A task's pid 1 and the cgroup of all its processes. */
export interface TaskProcesses {
  readonly pid: number;
  readonly pidfd: Fd;
  readonly cgroupsPath: string;
  /** Sends a signal to every process of the task; undefined if these are processes of the host. */
  readonly signalInside?: ((signal: number) => void) | undefined;
}

export interface TaskStopperOptions {
  readonly installation: Installation;
  /** Time between the stop signal and KILL. */
  readonly graceMs: number;
  /** The first signal of a stop. */
  readonly stopSignal: number;
  /** Called when the task's time is over; returns false if another process has sent the stop signal. */
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

  /** The cause of the first stop; null if the task was not stopped. */
  get cause(): StopCause | null {
    const { aborted, reason } = this.#stopped.signal;
    return aborted ? reason : null;
  }

  /** Whether nothing is left to stop, so that a stop has no effect. Also true for a task whose end nobody has noticed yet. */
  get ended(): boolean {
    if (this.#ended || this.#task === undefined) return this.#ended;
    try {
      return this.#options.installation.system.hasEnded(this.#task.pidfd);
    } catch {
      // Signalling an ended process does no harm.
      return false;
    }
  }

  /** Sets the processes to stop, and carries out an earlier stop. */
  attach(task: TaskProcesses): void {
    this.#task = task;
    if (this.cause !== null) this.killProcesses();
  }

  /** Ends the stopper when the task has ended: no more signals are sent. Returns the cause of the first stop; null if there was none. */
  end(): StopCause | null {
    this.#ended = true;
    this.#task = undefined;
    clearTimeout(this.#killTimer);
    return this.cause;
  }

  /** Sends the stop signal, or `signal` if pid 1 acts on it; KILL after the grace time. The first cause counts. A second call kills at once. */
  stop(cause: StopCause, signal?: number): void {
    if (this.ended) return;
    const again = this.cause !== null;
    this.#note(cause);
    if (this.#task === undefined) return;
    if (again) this.killProcesses();
    else if (cause === 'timed_out' && !this.#claimOverdue()) this.#killLater();
    else void this.#terminate(this.#task, signal);
  }

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
   * Sends KILL at once without a cause, for a task that is given up for another reason. Never
   * throws, because timers and listeners call it. Retries a failed kill until the task has ended.
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
    try {
      // Kill pid 1 first, which works even if the cgroup cannot be read.
      installation.system.signalPidfd(task.pidfd, SIGKILL);
    } catch {
      // Killing by pid, below, may still succeed.
    }
    await killAll(installation, task.cgroupsPath, () => this.#task === task);
  }

  async #terminate(task: TaskProcesses, signal: number | undefined): Promise<void> {
    const { installation, stopSignal } = this.#options;
    let ends = false;
    try {
      ends = await terminateTask(installation.cgroups, task, stopSignal, signal);
    } catch {
      // A task that could not be signalled is killed below.
    }
    if (this.#ended) return;
    if (!ends) this.killProcesses();
    else this.#killLater();
  }

  #claimOverdue(): boolean {
    try {
      return this.#options.claimOverdue();
    } catch {
      // Better to send the signal twice than not at all.
      return true;
    }
  }

  #killLater(): void {
    this.#killTimer = setTimeout(() => this.killProcesses(), this.#options.graceMs);
  }
}

/**
 * Sends a task its stop signal; a paused task runs again, so that it can act on the signal. Returns false if it is useless to wait for its
 * end. Always returns true for a sandbox, whose handlers are unknown. A sandbox gets only the stop signal or INT, which ends most programs.
 *
 * @param stopSignal TERM goes to every process of the task. Any other signal was chosen by pid 1, so only pid 1 gets it.
 * @param signal Sent to every process instead, as a terminal does, if pid 1 acts on it.
 */
export async function terminateTask(
  cgroups: CgroupDriver,
  { pid, cgroupsPath, signalInside }: Omit<TaskProcesses, 'pidfd'>,
  stopSignal: number,
  signal?: number,
): Promise<boolean> {
  try {
    if (signalInside !== undefined) {
      signalInside(signal === SIGINT ? signal : stopSignal);
      return true;
    }
    if (signal !== undefined && (await actsOnSignal(pid, signal))) {
      for (const each of cgroups.listProcesses(cgroupsPath)) signalProcess(each, signal);
      return true;
    }
    const ends = await actsOnSignal(pid, stopSignal);
    for (const each of cgroups.listProcesses(cgroupsPath)) {
      if (stopSignal === SIGTERM || each === pid) signalProcess(each, stopSignal);
    }
    return ends;
  } finally {
    cgroups.thaw(cgroupsPath);
  }
}

/** Pauses between looks at a process that blocks the signal: five looks in less than a tenth of a second. */
const PAUSES_MS = [1, 4, 16, 64];

/**
 * Whether to wait for a task's first process to act on a signal. False for a pid 1 without a handler, because the kernel drops the
 * signal. Also false if the process does not answer, or has not become its command: until then, its handlers are the runtime's.
 */
async function actsOnSignal(pid: number, signal: number): Promise<boolean> {
  if ((await hasExecuted(pid)) !== true) return false;
  if (nsPidOf(pid) !== 1) return true;
  return await isWaitedFor(() => signalDisposition(pid, signal));
}

/**
 * Whether a process acts on the signal, judged by several looks. A process that reads the signal through signalfd(2) always blocks
 * it. But the C library also blocks every signal while it forks, so a single look at a shell could mistake it for such a process.
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
