/** What a task has acquired, and how to release each part. A new kind of holding is a line in {@link Held} and a row in {@link KINDS}. */
import type { HeldBuilt } from '../store/built/hold-built.ts';
import type { TenantSeat } from './admission/join-tenant.ts';
import type { Slot } from './admission/slot.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import type { TaskProgress } from './progress/task-progress.ts';
import type { TaskStreams } from './streams/task-streams.ts';

interface Held {
  /** Only with a tenant: makes the task count as one of the tenant's. */
  readonly seat: TenantSeat;
  /** Only with a build step: the cached build of the task's `/task`. */
  readonly built: HeldBuilt;
  readonly streams: TaskStreams;
  /** Only if the task has a progress file. */
  readonly progress: TaskProgress;
  readonly slot: Slot;
  readonly disk: TaskDisk;
}

interface Kind<T> {
  /** Called when nothing of the task is left. */
  readonly release: (held: T) => void | Promise<void>;
  /** Closes only this process's descriptors: another process removes what is left of the task. */
  readonly close: (held: T) => void;
}

const both = <T>(end: (held: T) => void): Kind<T> => ({ release: end, close: end });

const KINDS: { readonly [K in keyof Held]: Kind<Held[K]> } = {
  seat: { release: (seat) => seat.release(), close: (seat) => seat.close() },
  built: both((built) => built.release()),
  streams: both((streams) => streams.close()),
  progress: both((progress) => progress.close()),
  slot: { release: (slot) => slot.release(), close: (slot) => slot.close() },
  // The task's removal removes or keeps the disk, whose content must go before the task's folder.
  disk: { release: () => undefined, close: (disk) => disk.close() },
};

/** A task's holdings. Each stage adds at once what it acquires; the code that ends the task releases everything, last first. */
export class Holdings {
  readonly #held: { -readonly [K in keyof Held]?: Held[K] } = {};
  readonly #acquired: (keyof Held)[] = [];

  /** Takes ownership of a holding and returns it. A task has at most one of each kind. */
  add<K extends keyof Held>(kind: K, thing: Held[K]): Held[K] {
    this.#held[kind] = thing;
    this.#acquired.push(kind);
    return thing;
  }

  /** Undefined if not acquired, or released. */
  get<K extends keyof Held>(kind: K): Held[K] | undefined {
    return this.#held[kind];
  }

  /** Releases everything; call it when nothing of the task is left. A second call does nothing. */
  async release(): Promise<void> {
    for (let kind = this.#acquired.pop(); kind !== undefined; kind = this.#acquired.pop()) {
      await this.#release(kind, 'release');
    }
  }

  /** Closes only this process's descriptors, in place of `release` while something of the task is left. A second call does nothing. */
  close(): void {
    for (let kind = this.#acquired.pop(); kind !== undefined; kind = this.#acquired.pop()) {
      void this.#release(kind, 'close');
    }
  }

  #release<K extends keyof Held>(kind: K, how: 'release' | 'close'): void | Promise<void> {
    const thing = this.#held[kind];
    delete this.#held[kind];
    if (thing !== undefined) return KINDS[kind][how](thing);
  }
}
