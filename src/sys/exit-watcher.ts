/**
 * Exits of children that this process did not start itself (the task's init, inherited as subreaper), by pidfd.
 * It waits only on descriptors it was given, so it never takes a child of another library.
 */
import { nextTurn, pause } from '../core/pause.ts';
import { linuxSystem } from './linux-system.ts';
import { isMainThread } from './processes.ts';
import { type Fd, type ProcessExit, type System, SystemError } from './system.ts';

interface Waiter {
  readonly beforeReap: (noticedAt: number) => void;
  /** When its end was seen, on the clock of `performance`: it may be told of later, as others are told of first. */
  noticedAt: number | undefined;
  /** How often its exit was read; in vain but for the last time. */
  tries: number;
  readonly resolve: (exit: ProcessExit) => void;
  readonly reject: (error: unknown) => void;
  /** When the first of the readings of its exit that failed in a row was. */
  failingSince: number | undefined;
}

/** Ends that one look sees. Those beyond are seen by the next one. */
const SEEN_AT_ONCE = 1_024;
/** Catches an exit whose SIGCHLD was merged into an earlier one; also keeps the event loop alive meanwhile. */
const SWEEP_INTERVAL_MS = 500;
/** How long looks may fail, for example because descriptors ran out, before an exit counts as lost. */
const LOST_AFTER_MS = 5_000;
const RETRY_MS = 100;
/** Bounds how long a pool thread outlives the last task. */
const POOL_WAIT_MS = 250;

export class ExitWatcher {
  readonly #system: System;
  readonly #waiters = new Map<Fd, Waiter>();
  #epoll: Fd | undefined;
  /** When the first of the looks for exits that failed in a row was. */
  #blindSince: number | undefined;
  #interval: NodeJS.Timeout | undefined;
  /** Whether a look has its turn of the event loop soon. */
  #isDue = false;
  readonly #onSigchld = () => {
    const ready = this.#look();
    if (!this.#isDue) this.#reapOne(ready);
  };

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * Resolves when the process behind `pidfd` has ended, and reaps it. The caller keeps the descriptor and closes it.
   * `beforeReap` is called while it is a zombie: the last moment at which /proc tells of it; it is given when the end was noticed, which may be
   * long before on a busy event loop. Throws when the descriptor cannot be
   * watched; rejects when the exit cannot be read, as that of a process which is no child of this one.
   */
  wait(pidfd: Fd, beforeReap: Waiter['beforeReap'] = () => undefined): Promise<ProcessExit> {
    const epoll = this.#epoll ?? this.#system.createEpoll();
    this.#epoll = epoll;
    this.#system.addToEpoll(epoll, pidfd);
    return new Promise((resolve, reject) => {
      const unknown = { noticedAt: undefined, failingSince: undefined, tries: 0 };
      this.#waiters.set(pidfd, { beforeReap, resolve, reject, ...unknown });
      if (this.#waiters.size === 1) this.#listen(epoll);
      // It may have ended before it was watched.
      this.#sweepSoon();
    });
  }

  /** Gives up waiting: the promise of `wait` never settles. A second call does nothing, nor does one after the exit. */
  abandon(pidfd: Fd): void {
    if (this.#waiters.has(pidfd)) this.#forget(pidfd);
  }

  #listen(epoll: Fd): void {
    // Signals are not delivered to worker threads; a pool thread waits there instead.
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
        // What could not be read is ready again at once.
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

  /** Which have ended. */
  #look(): readonly Fd[] {
    if (this.#epoll === undefined || this.#waiters.size === 0) return [];
    let ready: readonly Fd[];
    try {
      ready = this.#system.pollEpoll(this.#epoll, Math.min(this.#waiters.size, SEEN_AT_ONCE));
    } catch (error) {
      this.#blindSince ??= performance.now();
      if (performance.now() - this.#blindSince > LOST_AFTER_MS) this.#giveUpAll(error);
      return [];
    }
    this.#blindSince = undefined;
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
   * Who waits for an exit goes on in the turn in which it is told, with a millisecond of work: several would hold up the event loop. The
   * next has its own turn. One whose exit cannot be read does not keep the others waiting.
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
      const isNoChild = error instanceof SystemError && error.code === 'ECHILD';
      if (isNoChild) this.#giveUp(pidfd, waiter, error);
      else this.#failed(pidfd, waiter, error);
    }
  }

  /** The next sweep tries again, for a while. */
  #failed(pidfd: Fd, waiter: Waiter, error: unknown): void {
    waiter.failingSince ??= performance.now();
    if (performance.now() - waiter.failingSince > LOST_AFTER_MS) this.#giveUp(pidfd, waiter, error);
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
      // It leaves the set by itself when the caller closes it.
    }
  }
}

/** One watcher for all programs and tasks: there is only one SIGCHLD. */
export const exits = new ExitWatcher(linuxSystem);
