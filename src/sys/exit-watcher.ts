/**
 * Exits of children that this process did not start itself (the task's init, inherited as subreaper), by pidfd.
 * It waits only on descriptors it was given, so it never takes a child of another library.
 */
import { isMainThread } from 'node:worker_threads';
import type { Fd, ProcessExit, System } from './system.ts';

interface Waiter {
  readonly beforeReap: () => void;
  readonly resolve: (exit: ProcessExit) => void;
  readonly reject: (error: unknown) => void;
}

/** Reaping one process may take 0.4 ms: more of them in one turn would stall the event loop. */
const EXITS_PER_TURN = 16;
/** Catches an exit whose SIGCHLD was merged into an earlier one; also keeps the event loop alive meanwhile. */
const SWEEP_INTERVAL_MS = 500;
/** Bounds how long a pool thread outlives the last task. */
const POOL_WAIT_MS = 250;

export class ExitWatcher {
  readonly #system: System;
  readonly #waiters = new Map<Fd, Waiter>();
  #epoll: Fd | undefined;
  #interval: NodeJS.Timeout | undefined;
  readonly #onSigchld = () => this.#sweep();

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * Resolves when the process behind `pidfd` has ended, and reaps it. The caller keeps the descriptor and closes it.
   * `beforeReap` is called while it is a zombie: the last moment at which /proc tells of it.
   */
  wait(pidfd: Fd, beforeReap: () => void = () => undefined): Promise<ProcessExit> {
    return new Promise((resolve, reject) => {
      this.#epoll ??= this.#system.createEpoll();
      this.#system.addToEpoll(this.#epoll, pidfd);
      this.#waiters.set(pidfd, { beforeReap, resolve, reject });
      if (this.#waiters.size === 1) this.#listen(this.#epoll);
      // It may have ended before it was watched.
      setImmediate(() => this.#sweep());
    });
  }

  #listen(epoll: Fd): void {
    // Signals are not delivered to worker threads; a pool thread waits there instead.
    if (isMainThread || this.#system.waitEpoll === undefined) {
      process.on('SIGCHLD', this.#onSigchld);
      this.#interval = setInterval(this.#onSigchld, SWEEP_INTERVAL_MS);
    } else {
      void this.#waitOnPool(epoll, this.#system.waitEpoll);
    }
  }

  async #waitOnPool(epoll: Fd, waitEpoll: NonNullable<System['waitEpoll']>): Promise<void> {
    try {
      while (this.#waiters.size > 0) {
        for (const pidfd of await waitEpoll(epoll, EXITS_PER_TURN, POOL_WAIT_MS)) this.#reap(pidfd);
      }
    } catch (error) {
      for (const [pidfd, waiter] of this.#waiters) {
        this.#forget(pidfd);
        waiter.reject(error);
      }
    }
  }

  #sweep(): void {
    if (this.#epoll === undefined || this.#waiters.size === 0) return;
    const ready = this.#system.pollEpoll(this.#epoll, EXITS_PER_TURN);
    for (const pidfd of ready) this.#reap(pidfd);
    if (ready.length === EXITS_PER_TURN) setImmediate(() => this.#sweep());
  }

  #reap(pidfd: Fd): void {
    const waiter = this.#waiters.get(pidfd);
    if (waiter === undefined) return;
    try {
      waiter.beforeReap();
      const exit = this.#system.waitPidfd(pidfd);
      if (exit === undefined) return;
      this.#forget(pidfd);
      waiter.resolve(exit);
    } catch (error) {
      this.#forget(pidfd);
      waiter.reject(error);
    }
  }

  #forget(pidfd: Fd): void {
    this.#waiters.delete(pidfd);
    if (this.#epoll !== undefined) this.#system.removeFromEpoll(this.#epoll, pidfd);
    if (this.#waiters.size > 0) return;
    process.off('SIGCHLD', this.#onSigchld);
    clearInterval(this.#interval);
    this.#interval = undefined;
  }
}
