/**
 * Looks at the index of lanes for jobs whose bells were not heard: at the start, after messages may have been lost, and periodically. Removes lanes
 * without jobs from the index. Looks for jobs whose worker has died.
 */
import { atMost } from '../../core/pause.ts';
import type { Lane } from '../job/lane.ts';
import type { IntakeOptions } from './intake-options.ts';
import { heldBy, type LaneState } from './lanes/lane-state.ts';

export interface LookOptions extends Pick<IntakeOptions, 'store' | 'clock'> {
  readonly queues: readonly string[];
  /** The worker's state of a lane. Its parked lanes here wait for a time or for the end of a job. */
  readonly stateOf: (lane: Lane) => LaneState | undefined;
  /** Called for a lane with a job to take: now (0), or after `afterMs` if it has only delayed jobs. */
  readonly onFound: (lane: Lane, afterMs: number) => void;
  /** Called when a look has asked all its lanes, or failed. */
  readonly onLooked: () => void;
  readonly onError: (error: unknown, lane: Lane | undefined) => void;
}

/** The number of lanes asked at once; small, so that takes do not wait behind looks. */
const AT_ONCE = 16;
const STALLED_AT_ONCE = 8;
const PRUNED_AT_ONCE = 100;

export class Looks {
  readonly #options: LookOptions;
  #sinceMs: number | undefined;
  #skewMs = 0;
  #current: Promise<void> | undefined;
  /** What the look after the current one must cover. */
  #next: 'recent' | 'whole' | undefined;
  #isClosed = false;

  constructor(options: LookOptions) {
    this.#options = options;
  }

  /** Milliseconds since 1970 by the clock that delays follow: PostgreSQL's own, but on Redis each client's. */
  storeNowMs(): number {
    const { store, clock } = this.#options;
    return clock.epochMs() + (store.kind === 'postgres' ? this.#skewMs : 0);
  }

  /** Looks at lanes announced since the last look, or at all, after a pending look. Never rejects: `onError` gets failures; the next look retries. */
  async look(kind: 'recent' | 'whole'): Promise<void> {
    this.#next = this.#next === 'whole' ? 'whole' : kind;
    this.#current ??= this.#lookAll();
    await this.#current;
  }

  /**
   * Looks for jobs whose locks have expired because their worker died. They wait again; a job taken too often is ended by the worker that takes it.
   * Every worker may look at any time: within the store's interval, a second look does nothing. Never rejects.
   */
  async lookForStalled(): Promise<void> {
    const { store, queues, onError } = this.#options;
    try {
      const lanes = await store.listActive(queues);
      const turn = atMost(STALLED_AT_ONCE);
      await Promise.all(lanes.map((lane) => turn(() => this.#moveStalled(lane))));
    } catch (error) {
      onError(error, undefined);
    }
  }

  close(): void {
    this.#isClosed = true;
  }

  async #lookAll(): Promise<void> {
    while (this.#next !== undefined && !this.#isClosed) {
      const isWhole = this.#next === 'whole' || this.#sinceMs === undefined;
      this.#next = undefined;
      try {
        await this.#lookOnce(isWhole);
      } catch (error) {
        this.#options.onError(error, undefined);
        this.#options.onLooked();
      }
    }
    this.#current = undefined;
  }

  async #lookOnce(isWhole: boolean): Promise<void> {
    const { store, queues, clock } = this.#options;
    const startedAt = await store.serverTimeMs();
    this.#skewMs = startedAt - clock.epochMs();
    const lists = await Promise.all(
      queues.map((queue) => store.listLanes(queue, isWhole ? undefined : this.#sinceMs)),
    );
    const empty: Lane[] = [];
    const turn = atMost(AT_ONCE);
    // A bell wakes a parked lane. A producer that died before it rang is rare, and left to the whole look.
    const looked = lists.flat().filter((lane) => {
      const state = this.#options.stateOf(lane);
      return state === undefined || (!state.isReady && isWhole);
    });
    await Promise.all(
      looked.map((lane) =>
        turn(async () => {
          if (await this.#isEmpty(lane)) empty.push(lane);
        }),
      ),
    );
    this.#sinceMs = startedAt;
    this.#options.onLooked();
    if (isWhole) await this.#prune(empty);
  }

  async #isEmpty(lane: Lane): Promise<boolean> {
    const { store, onFound, onError } = this.#options;
    if (this.#isClosed) return false;
    try {
      const { names, dueMs } = await store.peek(lane, 1);
      if (names.length === 0 && dueMs === undefined) return true;
      const isDelayed = names.length === 0 && dueMs !== undefined;
      onFound(lane, isDelayed ? Math.max(0, dueMs - this.storeNowMs()) : 0);
    } catch (error) {
      onError(error, lane);
    }
    return false;
  }

  async #moveStalled(lane: Lane): Promise<void> {
    const { store, stateOf, onError } = this.#options;
    try {
      const backend = store.backend(lane);
      const moved = await backend.moveStalledJobsToWait();
      if (moved.length > 0) await store.ring(lane);
      const state = stateOf(lane);
      if (state !== undefined && heldBy(state) > 0) return;
      const [active] = await backend.getCounts(['active']);
      if (active === 0) await store.forgetActive(lane);
    } catch (error) {
      onError(error, lane);
    }
  }

  /** Removes lanes from the index. A lane to which a job is added meanwhile stays. */
  async #prune(lanes: readonly Lane[]): Promise<void> {
    for (let from = 0; from < lanes.length && !this.#isClosed; from += PRUNED_AT_ONCE) {
      await this.#options.store.pruneLanes(lanes.slice(from, from + PRUNED_AT_ONCE));
    }
  }
}
