/**
 * What a task has acquired for its life, and how each of it is given back. A new kind of holding is one line of {@link Held} and one row of
 * {@link KINDS}.
 */
import type { TenantSeat } from './admission/join-tenant.ts';
import type { Slot } from './admission/slot.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import type { TaskStreams } from './streams/task-streams.ts';

interface Held {
  /** With a tenant: the task counts as one of the tenant's. */
  readonly seat: TenantSeat;
  readonly streams: TaskStreams;
  readonly slot: Slot;
  readonly disk: TaskDisk;
}

interface Kind<T> {
  /** Nothing of the task is left. */
  readonly release: (held: T) => void | Promise<void>;
  /** Another process removes what is left of the task: closes what this process has open. */
  readonly close: (held: T) => void;
}

const closeStreams = (streams: TaskStreams) => streams.close();

const KINDS: { readonly [K in keyof Held]: Kind<Held[K]> } = {
  seat: { release: (seat) => seat.release(), close: (seat) => seat.close() },
  streams: { release: closeStreams, close: closeStreams },
  slot: { release: (slot) => slot.release(), close: (slot) => slot.close() },
  // The removal of the task removes or keeps the disk: its content goes before the task's folder does.
  disk: { release: () => undefined, close: (disk) => disk.close() },
};

/** A stage of the task adds what it acquires at once; whoever ends the task gives all of it back, last first. */
export class Holdings {
  readonly #held: { -readonly [K in keyof Held]?: Held[K] } = {};
  readonly #acquired: (keyof Held)[] = [];

  /** Takes a thing over, and returns it. A task has one of each kind at most. */
  add<K extends keyof Held>(kind: K, thing: Held[K]): Held[K] {
    this.#held[kind] = thing;
    this.#acquired.push(kind);
    return thing;
  }

  /** Undefined: not acquired, or given back. */
  get<K extends keyof Held>(kind: K): Held[K] | undefined {
    return this.#held[kind];
  }

  /** Nothing of the task is left: gives everything back. A second call does nothing. */
  async release(): Promise<void> {
    for (let kind = this.#acquired.pop(); kind !== undefined; kind = this.#acquired.pop()) {
      await this.#giveBack(kind, 'release');
    }
  }

  /** Instead of `release`, while something of the task is left: closes what this process has open. A second call does nothing. */
  close(): void {
    for (let kind = this.#acquired.pop(); kind !== undefined; kind = this.#acquired.pop()) {
      void this.#giveBack(kind, 'close');
    }
  }

  #giveBack<K extends keyof Held>(kind: K, how: 'release' | 'close'): void | Promise<void> {
    const thing = this.#held[kind];
    delete this.#held[kind];
    if (thing !== undefined) return KINDS[kind][how](thing);
  }
}
