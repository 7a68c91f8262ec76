/**
 * Renews the locks of all jobs that this worker holds, and ends the hold of a job whose lock was not renewed in time. The time counts from when the
 * last confirmed renewal was sent, whether or not the store answers now.
 */
import { laneName } from '../job/lane.ts';
import type { TakenJob } from '../taken-job.ts';

/** A task may run for this fraction of the lock time after its last confirmed renewal was sent. */
const HELD_PART = 0.8;
const RENEWED_PART = 1 / 3;
const LOOKS_PER_LOCK = 100;
const LONGEST_LOOK_MS = 500;

export interface LockKeeperOptions {
  readonly lockMs: number;
  /** A clock that nobody can set, in milliseconds. */
  readonly now: () => number;
  /** Called after each confirmed renewal, with the renewed locks. */
  readonly onRenewed: (locks: readonly Lock[]) => void;
  /** Called for a failed renewal, which is retried. */
  readonly onFailure: (error: unknown) => void;
}

export type LockedJob = Pick<TakenJob, 'lane' | 'id' | 'token' | 'backend'>;

export class Lock {
  readonly job: LockedJob;
  readonly #lost = new AbortController();
  /** Aborts when the job may no longer run. */
  readonly lost: AbortSignal = this.#lost.signal;
  #untilMs: number;

  constructor(job: LockedJob, untilMs: number) {
    this.job = job;
    this.#untilMs = untilMs;
  }

  /** Until when the job may run, on the keeper's clock. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Ends an expired hold even if no timer has noticed the expiry yet. */
  isLostAt(now: number): boolean {
    if (now >= this.#untilMs) this.lose();
    return this.lost.aborted;
  }

  lose(): void {
    this.#lost.abort();
  }

  renew(untilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, untilMs);
  }
}

export class LockKeeper {
  readonly #options: LockKeeperOptions;
  readonly #locks = new Set<Lock>();
  #timers: readonly NodeJS.Timeout[] = [];
  #lastRenewalAt: Date | null = null;

  constructor(options: LockKeeperOptions) {
    this.#options = options;
  }

  /** When the store last confirmed a renewal. */
  get lastRenewalAt(): Date | null {
    return this.#lastRenewalAt;
  }

  /** @param sentAtMs When the request that took the lock was sent, on the keeper's clock. */
  hold(job: LockedJob, sentAtMs: number): Lock {
    const lock = new Lock(job, this.#endOf(sentAtMs));
    this.#locks.add(lock);
    if (this.#timers.length > 0) return lock;
    const { lockMs } = this.#options;
    this.#timers = [
      setInterval(() => this.#renew(), lockMs * RENEWED_PART),
      setInterval(() => this.#look(), Math.min(lockMs / LOOKS_PER_LOCK, LONGEST_LOOK_MS)),
    ];
    return lock;
  }

  /** Stops renewing the lock. */
  release(lock: Lock): void {
    this.#locks.delete(lock);
    if (this.#locks.size === 0) this.close();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #endOf(sentAtMs: number): number {
    return sentAtMs + this.#options.lockMs * HELD_PART;
  }

  #look(): void {
    const now = this.#options.now();
    for (const lock of this.#locks) lock.isLostAt(now);
  }

  #renew(): void {
    const lanes = new Map<string, Lock[]>();
    const now = this.#options.now();
    for (const lock of this.#locks) {
      if (lock.isLostAt(now)) continue;
      const name = laneName(lock.job.lane);
      const others = lanes.get(name);
      if (others === undefined) lanes.set(name, [lock]);
      else others.push(lock);
    }
    for (const locks of lanes.values()) void this.#renewLane(locks);
  }

  /** Renews all locks of a lane by one request. An earlier request may still be pending. */
  async #renewLane(locks: readonly Lock[]): Promise<void> {
    const [first] = locks;
    if (first === undefined) return;
    const { now, lockMs, onRenewed, onFailure } = this.#options;
    const sentAtMs = now();
    try {
      const ids = locks.map(({ job }) => job.id);
      const tokens = locks.map(({ job }) => job.token);
      const failed = new Set(await first.job.backend.extendLocks(ids, tokens, lockMs));
      this.#lastRenewalAt = new Date();
      for (const lock of locks) {
        if (failed.has(lock.job.id)) lock.lose();
        else lock.renew(this.#endOf(sentAtMs));
      }
      onRenewed(locks.filter((lock) => this.#locks.has(lock) && !lock.isLostAt(now())));
    } catch (error) {
      onFailure(error);
    }
  }
}
