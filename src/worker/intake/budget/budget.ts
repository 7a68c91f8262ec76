/** The budget of this machine: the memory, disk and processors that tasks of jobs reserve, over all workers of the installation. */
import type { TenantName } from '../../../core/ids.ts';
import type { Policy } from '../../../spec/policy.ts';
import type { Needs } from '../../taken-job.ts';
import { estimateDisk, type Machine, toCapacity, withDisk } from './machine.ts';
import { addNeeds, fitsIn, NO_NEEDS } from './needs.ts';
import { type Claim, roomIn, type Share, tasksOf } from './share.ts';
import { openShareFolder, type ShareFolderOptions } from './share-file.ts';

export interface RoomRequest {
  readonly needs: Needs;
  readonly tenant?: TenantName | undefined;
  /** The tenant's maximum of tasks on this machine. */
  readonly maxTasks?: number | undefined;
  /** Since when the job has waited. Default: now. */
  readonly sinceMs?: number | undefined;
}

export interface Reservation {
  readonly needs: Needs;
  /** Returns false and changes nothing if there is no room. Smaller needs always succeed. */
  resize(needs: Needs, sinceMs?: number): boolean;
  /** A second call does nothing. */
  release(): void;
}

export interface BudgetOptions extends ShareFolderOptions {
  readonly policy: Pick<Policy, 'worker' | 'reserves'>;
  readonly machine: Machine;
  /** The monotonic clock that all processes of the host share. */
  readonly monotonicMs: () => number;
  /** Called at most once a minute while the workers' shares cannot be read or written; until they can, there is no room. */
  readonly onFailure?: (error: unknown) => void;
}

/** Estimates read the other workers' shares at most this often; a reservation always reads them. */
const OTHERS_AGE_MS = 50;
const DISK_AGE_MS = 1_000;
/** Other known workers learn of returned room at once. If none is known, the file follows after this time, for one that may be starting. */
const TELL_MS = 20;
const RETRY_MS = 1_000;
/** How often to look for room that other workers gave back; without other workers, for free disk space. */
const LOOK_MS = 100;
const LOOK_ALONE_MS = 1_000;
const SWEEP_MS = 1_000;
const TOLD_AGAIN_MS = 60_000;

interface Held {
  needs: Needs;
  readonly tenant: TenantName | undefined;
}

export class Budget {
  readonly #options: BudgetOptions;
  readonly #folder: ReturnType<typeof openShareFolder>;
  readonly #capacity: Pick<Needs, 'memoryBytes' | 'cpus'>;
  readonly #held = new Set<Held>();
  readonly #claims = new Set<Claim>();
  readonly #listeners = new Set<() => void>();
  readonly #sweeper: NodeJS.Timeout;
  #own: Needs = NO_NEEDS;
  readonly #tenants = new Map<TenantName, number>();
  #others: readonly Share[] = [];
  #othersAtMs = Number.NEGATIVE_INFINITY;
  #disk: { readonly atMs: number; readonly bytes: number } | undefined;
  #telling: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  /** Throws a system error if the folder cannot be written. Later errors of this kind only mean that there is no room for now. */
  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#folder = openShareFolder(options);
    this.#capacity = toCapacity(options.machine, options.policy);
    this.#tell();
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_MS).unref();
  }

  /** The size of the budget, reserved or not. Its disk part follows the free space. */
  total(): Needs {
    const { policy, machine, monotonicMs } = this.#options;
    const now = monotonicMs();
    if (this.#disk === undefined || now - this.#disk.atMs > DISK_AGE_MS) {
      const reserved = this.#shares().reduce((sum, share) => sum + share.reserved.diskBytes, 0);
      const free = orZero(machine.freeDiskBytes);
      this.#disk = { atMs: now, bytes: estimateDisk(free, reserved, this.#disk?.bytes ?? free) };
    }
    return withDisk(this.#capacity, this.#disk.bytes, policy);
  }

  /** The largest possible budget: with an empty disk. */
  possible(): Needs {
    const { policy, machine } = this.#options;
    return withDisk(this.#capacity, orZero(machine.diskBytes), policy);
  }

  /** What this worker has reserved. */
  reserved(): Needs {
    return this.#own;
  }

  /** The room for a job that has waited since `sinceMs` (default: now). An estimate: another worker may reserve first. */
  room(sinceMs = Number.POSITIVE_INFINITY): Needs {
    return roomIn(this.total(), this.#shares(), sinceMs);
  }

  /** How many jobs of a tenant the other workers of this machine run. An estimate. */
  tasksOfOthers(tenant: TenantName): number {
    this.#refresh(OTHERS_AGE_MS);
    return tasksOf(tenant, this.#others);
  }

  /** Reserves room. Undefined without room, or if the tenant has its maximum of tasks on this machine. */
  reserve({ needs, tenant, maxTasks, sinceMs }: RoomRequest): Reservation | undefined {
    const held: Held = { needs: NO_NEEDS, tenant };
    const most = maxTasks ?? Number.POSITIVE_INFINITY;
    const isAllowed = () =>
      tenant === undefined ||
      (this.#tenants.get(tenant) ?? 0) + tasksOf(tenant, this.#others) <= most;
    this.#count(held, 1);
    if (isAllowed() && this.#change(held, needs, sinceMs, isAllowed))
      return this.#toReservation(held);
    this.#count(held, -1);
    return undefined;
  }

  /** Keeps room free for a waiting job. Requests that came later do not get this room. */
  claim(claim: Claim): { drop(): void } {
    // A copy, because the caller may claim with the same object twice.
    const own = { ...claim };
    this.#claims.add(own);
    this.#tellSoon();
    return {
      drop: () => {
        if (this.#claims.delete(own)) this.#gaveBack();
      },
    };
  }

  /** Calls the listener whenever there may be more room. Returns a function that removes the listener. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Call this while a job waits for room. Schedules one call of the listeners, for room that other processes may have given back. */
  expectRoom(): void {
    if (this.#isClosed || this.#looking !== undefined) return;
    this.#looking = setTimeout(
      () => {
        this.#looking = undefined;
        this.#notify();
      },
      this.#others.length > 0 ? LOOK_MS : LOOK_ALONE_MS,
    ).unref();
  }

  /** Gives all reserved room back. A second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    clearTimeout(this.#telling);
    clearTimeout(this.#looking);
    this.#listeners.clear();
    this.#folder.close();
  }

  #toReservation(held: Held): Reservation {
    return {
      get needs() {
        return held.needs;
      },
      resize: (needs, sinceMs) => {
        if (!this.#held.has(held)) return false;
        if (!fitsIn(needs, held.needs)) return this.#change(held, needs, sinceMs);
        this.#set(held, needs);
        this.#gaveBack();
        return true;
      },
      release: () => {
        if (!this.#held.has(held)) return;
        this.#set(held, NO_NEEDS);
        this.#count(held, -1);
        this.#gaveBack();
      },
    };
  }

  /** Writes this worker's share before it reads the others: see `share-file.ts`. */
  #change(
    held: Held,
    needs: Needs,
    sinceMs = Number.POSITIVE_INFINITY,
    isAllowed = () => true,
  ): boolean {
    const before = held.needs;
    if (!fitsIn(needs, addNeeds(this.room(sinceMs), before))) return false;
    this.#set(held, needs);
    const isKnown = this.#tell() && this.#refresh(0);
    if (isKnown && isAllowed() && fitsIn(NO_NEEDS, this.room(sinceMs))) return true;
    this.#set(held, before);
    this.#tell();
    return false;
  }

  #set(held: Held, needs: Needs): void {
    held.needs = needs;
    // Recomputed, not updated: reservations are few, and sums of fractions drift.
    this.#own = [...this.#held].reduce((sum, one) => addNeeds(sum, one.needs), NO_NEEDS);
  }

  #count(held: Held, by: 1 | -1): void {
    if (by === 1) this.#held.add(held);
    else this.#held.delete(held);
    if (held.tenant === undefined) return;
    const count = (this.#tenants.get(held.tenant) ?? 0) + by;
    if (count === 0) this.#tenants.delete(held.tenant);
    else this.#tenants.set(held.tenant, count);
  }

  #share(): Share {
    const tenants = Object.fromEntries(this.#tenants);
    return { reserved: this.#own, claims: [...this.#claims], tenants };
  }

  #shares(): readonly Share[] {
    this.#refresh(OTHERS_AGE_MS);
    return [this.#share(), ...this.#others];
  }

  /** Returns false if the other shares could not be read; the last known shares stay. */
  #refresh(ageMs: number): boolean {
    const now = this.#options.monotonicMs();
    if (now - this.#othersAtMs <= ageMs && ageMs > 0) return true;
    try {
      this.#others = this.#folder.readOthers();
    } catch (error) {
      this.#report(error);
      return false;
    }
    this.#othersAtMs = now;
    return true;
  }

  /** Returns false if the share could not be written: reserve nothing then. Retries after a second. */
  #tell(): boolean {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#isClosed) return true;
    try {
      this.#folder.write(this.#share());
      return true;
    } catch (error) {
      this.#report(error);
      this.#telling = setTimeout(() => this.#tell(), RETRY_MS).unref();
      return false;
    }
  }

  #tellSoon(): void {
    if (this.#isClosed) return;
    if (this.#others.length > 0) this.#tell();
    else this.#telling ??= setTimeout(() => this.#tell(), TELL_MS).unref();
  }

  #gaveBack(): void {
    this.#tellSoon();
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  async #sweep(): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.#folder.sweep();
    } catch (error) {
      // The next sweep retries. Until then the dead worker's share counts.
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const now = this.#options.monotonicMs();
    if (now - this.#failedAtMs < TOLD_AGAIN_MS) return;
    this.#failedAtMs = now;
    this.#options.onFailure?.(error);
  }
}

/** Returns 0 if the size cannot be read: the folder may be away for a while. */
function orZero(ask: () => number): number {
  try {
    return ask();
  } catch {
    return 0;
  }
}
