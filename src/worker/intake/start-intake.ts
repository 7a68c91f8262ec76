/** The intake: which jobs this worker takes, and when. It is fair among tenants, takes no job that it cannot run, and polls no idle lane. */
import { startTimer } from '../../core/pause.ts';
import type { Lane } from '../job/lane.ts';
import { type Intake, type IntakeOptions, USUAL_PACE } from './intake-options.ts';
import { LaneBook } from './lanes/lane-book.ts';
import { laneCaps } from './lanes/lane-caps.ts';
import { heldBy } from './lanes/lane-state.ts';
import { Looks } from './looks.ts';
import { RoomForLanes } from './room-for-lanes.ts';
import { lookForStalled } from './stalled-look.ts';
import { TakeLoop } from './take-loop.ts';

/** A lane with jobs of this worker must stay among the active ones, which are noted for a minute. */
const NOTE_MS = 10_000;

/** Resolves once bells are heard; the first jobs may have been taken by then. Rejects like `QueueStore.listen`. */
export async function startIntake(options: IntakeOptions): Promise<Intake> {
  const { store, budget, clock, onError = () => undefined } = options;
  const pace = { ...USUAL_PACE, ...options.pace };
  const queues = options.queues.map(({ name }) => name);
  const weights = new Map(options.queues.map(({ name, weight }) => [name, weight]));
  const book = new LaneBook({
    weightOfQueue: (queue) => weights.get(queue),
    termsOf: options.policyOf,
    startTimer,
    onReady: () => loop.look(),
  });
  const looks: Looks = new Looks({
    ...{ store, queues, clock, onError },
    isKnown: (lane) => book.find(lane)?.isReady ?? false,
    onFound: (lane) => book.wake(lane),
  });
  const rooms = new RoomForLanes(options, pace);
  const caps = laneCaps(store, clock);
  const storeNowMs = () => looks.storeNowMs();
  const loop: TakeLoop = new TakeLoop(options, { book, caps, rooms, storeNowMs });
  const stalled = () => {
    const isHeld = (lane: Lane) => {
      const state = book.find(lane);
      return state !== undefined && heldBy(state) > 0;
    };
    return lookForStalled({ store, queues, isHeld, onError });
  };

  const subscription = await store.listen(queues, {
    onBell: (lane) => book.wake(lane),
    onCancel: (lane, id) => options.onCancel?.(lane, id),
    onGap() {
      void looks.look('whole');
      options.onGap?.();
    },
    onReachable(isReachable) {
      loop.setReachable(isReachable);
      options.onReachable?.(isReachable);
    },
  });
  const unwatch = budget.watch(() => loop.look());
  const timers = [
    repeat(pace.recentLookMs, () => looks.look('recent')),
    repeat(pace.wholeLookMs, () => looks.look('whole')),
    repeat(options.stalledLookMs, stalled),
    repeat(NOTE_MS, () => noteActive(options, book)),
  ];
  void looks.look('whole');
  void stalled();
  const stopLooking = () => {
    for (const timer of timers.slice(0, 3)) clearInterval(timer);
    looks.close();
    unwatch();
  };
  return {
    async stopTaking() {
      stopLooking();
      await loop.stop();
      rooms.close();
    },
    idle: () => loop.idle(),
    running: () => loop.running,
    lanes: () => book.size,
    async close() {
      stopLooking();
      await loop.stop();
      for (const timer of timers) clearInterval(timer);
      rooms.close();
      book.close();
      try {
        await subscription.close();
      } catch (error) {
        onError(error, undefined);
      }
    },
  };
}

/** Calls `work` in this interval, unless its last call is not done. `work` must not reject. */
function repeat(ms: number, work: () => Promise<void>): NodeJS.Timeout {
  let isBusy = false;
  return setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void work().finally(() => {
      isBusy = false;
    });
  }, ms);
}

async function noteActive({ store, clock, onError }: IntakeOptions, book: LaneBook): Promise<void> {
  for (const state of book.held()) {
    try {
      state.notedAtMs = clock.monotonicMs();
      await store.noteActive(state.lane);
    } catch (error) {
      onError?.(error, state.lane);
    }
  }
}
