/**
 * Reports by pidfd the exits of children that Node did not start: programs started by posix_spawn(3), and a task's init, inherited as subreaper.
 * Waits only on descriptors that it was given, so it never reaps a child of another library.
 */
import { nextTurn, pause } from '../core/pause.ts';
import { linuxSystem } from './linux-system.ts';
import { isMainThread } from './processes.ts';
import { type Fd, type ProcessExit, type System, SystemError } from './system.ts';

interface Waiter {
  readonly beforeReap: (noticedAt: number) => void;
  /** When the exit was seen, on the clock of `performance`. Exits are reported one by one, so the report may come later. */
  noticedAt?: number;
  /** How often its exit was read; only the last read succeeds. */
  tries: number;
  readonly resolve: (exit: ProcessExit) => void;
  readonly reject: (error: unknown) => void;
  /** When the current run of failed reads began. */
  failingSince?: number | undefined;
}

/** The most exits that one look returns; the next look returns the rest. */
const SEEN_AT_ONCE = 1_024;
/** Catches an exit whose SIGCHLD was merged into an earlier one, and keeps the event loop alive meanwhile. */
const SWEEP_INTERVAL_MS = 500;
/** How long looks may fail, for example for lack of descriptors, before exits count as lost. */
const LOST_AFTER_MS = 5_000;
const RETRY_MS = 100;
/** Bounds how long a pool thread outlives the last task. */
const POOL_WAIT_MS = 250;

export class ExitWatcher {
  readonly #system: System;
  readonly #waiters = new Map<Fd, Waiter>();
  #epoll: Fd | undefined;
  /** When the current run of failed looks began. */
  #looksFailSince: number | undefined;
  #interval: NodeJS.Timeout | undefined;
  /** Whether a look is scheduled for a later turn of the event loop. */
  #isDue = false;
  readonly #onSigchld = () => {
    const ready = this.#look();
    if (!this.#isDue) this.#reapOne(ready);
  };

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * Resolves when the process behind `pidfd` has ended, and reaps it. The caller closes the descriptor. While the process is a zombie (/proc no
   * longer describes it afterwards), calls `beforeReap` with the time at which the exit was noticed, on a busy event loop possibly long before.
   * Throws if the descriptor cannot be watched. Rejects if the exit cannot be read, for example because the process is not a child of this one.
   */
  wait(pidfd: Fd, beforeReap: Waiter['beforeReap'] = () => undefined): Promise<ProcessExit> {
    const epoll = this.#epoll ?? this.#system.createEpoll();
    this.#epoll = epoll;
    this.#system.addToEpoll(epoll, pidfd);
    return new Promise((resolve, reject) => {
      this.#waiters.set(pidfd, { beforeReap, resolve, reject, tries: 0 });
      if (this.#waiters.size === 1) this.#listen(epoll);
      // The process may have ended before the watch began.
      this.#sweepSoon();
    });
  }

  /** Stops waiting: the promise of `wait` never settles. Does nothing on a second call or after the exit. */
  stopWaiting(pidfd: Fd): void {
    if (this.#waiters.has(pidfd)) this.#forget(pidfd);
  }

  #listen(epoll: Fd): void {
    // Worker threads get no signals; a pool thread waits instead.
    if (isMainThread() || this.#system.waitEpoll === undefined) {
      process.on('SIGCHLD', this.#onSigchld);
      this.#interval = setInterval(this.#onSigchld, SWEEP_INTERVAL_MS);
    } else {
      void this.#waitOnPool(epoll, this.#system.waitEpoll);
    }
  }

  async #waitOnPool(epoll: Fd, waitEpoll: NonNullable<System['waitEpoll']>): Promise<void> {
    try {
      while (this.#waiters.size > 0) {
        const ready = await waitEpoll(epoll, SEEN_AT_ONCE, POOL_WAIT_MS);
        this.#note(ready);
        const reaped = this.#reapOne(ready);
        // A process whose exit could not be read is ready again at once: pause to avoid spinning.
        if (reaped !== undefined && this.#waiters.has(reaped)) await pause(RETRY_MS);
      }
    } catch (error) {
      this.#giveUpAll(error);
    }
  }

  #sweepSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    void nextTurn().then(() => {
      this.#isDue = false;
      this.#reapOne(this.#look());
    });
  }

  /** Marks and returns the processes that have ended. */
  #look(): readonly Fd[] {
    if (this.#epoll === undefined || this.#waiters.size === 0) return [];
    let ready: readonly Fd[];
    try {
      ready = this.#system.pollEpoll(this.#epoll, Math.min(this.#waiters.size, SEEN_AT_ONCE));
    } catch (error) {
      this.#looksFailSince ??= performance.now();
      if (performance.now() - this.#looksFailSince > LOST_AFTER_MS) this.#giveUpAll(error);
      return [];
    }
    this.#looksFailSince = undefined;
    this.#note(ready);
    return ready;
  }

  #note(ready: readonly Fd[]): void {
    const now = performance.now();
    for (const pidfd of ready) {
      const waiter = this.#waiters.get(pidfd);
      if (waiter !== undefined) waiter.noticedAt ??= now;
    }
  }

  /**
   * Reaps one process per turn of the event loop. The code that waits for an exit runs in the same turn for about a millisecond, so several exits
   * in one turn would delay the event loop. A process whose exit cannot be read does not delay the others.
   */
  #reapOne(ready: readonly Fd[]): Fd | undefined {
    const triesOf = (pidfd: Fd) => this.#waiters.get(pidfd)?.tries ?? 0;
    const [first, ...rest] = ready;
    if (first === undefined) return undefined;
    const next = rest.reduce((a, b) => (triesOf(b) < triesOf(a) ? b : a), first);
    this.#reap(next);
    this.#sweepSoon();
    return next;
  }

  #reap(pidfd: Fd): void {
    const waiter = this.#waiters.get(pidfd);
    if (waiter === undefined) return;
    waiter.tries += 1;
    try {
      waiter.beforeReap(waiter.noticedAt ?? performance.now());
      const exit = this.#system.waitPidfd(pidfd);
      waiter.failingSince = undefined;
      if (exit === undefined) return;
      this.#forget(pidfd);
      waiter.resolve(exit);
    } catch (error) {
      waiter.failingSince ??= performance.now();
      const isNoChild = error instanceof SystemError && error.code === 'ECHILD';
      const isLost = isNoChild || performance.now() - waiter.failingSince > LOST_AFTER_MS;
      // Otherwise the next looks retry.
      if (isLost) this.#giveUp(pidfd, waiter, error);
    }
  }

  #giveUpAll(error: unknown): void {
    for (const [pidfd, waiter] of this.#waiters) this.#giveUp(pidfd, waiter, error);
  }

  #giveUp(pidfd: Fd, waiter: Waiter, error: unknown): void {
    this.#forget(pidfd);
    waiter.reject(error);
  }

  #forget(pidfd: Fd): void {
    this.#waiters.delete(pidfd);
    if (this.#waiters.size === 0) {
      process.off('SIGCHLD', this.#onSigchld);
      clearInterval(this.#interval);
      this.#interval = undefined;
    }
    try {
      if (this.#epoll !== undefined) this.#system.removeFromEpoll(this.#epoll, pidfd);
    } catch {
      // Closing the descriptor removes it from the set anyway.
    }
  }
}

/** The exits that this thread waits for. One watcher serves all programs and tasks, because there is only one SIGCHLD. */
export const exits = new ExitWatcher(linuxSystem);
