/** The intake: which jobs this worker takes, and when. Fair among tenants, takes no job that it cannot run, polls no idle lane. */
import { hasCode } from '../../core/errors.ts';
import { startTimer } from '../../core/pause.ts';
import type { Lane } from '../job/lane.ts';
import { type IntakeOptions, USUAL_PACE } from './intake-options.ts';
import { LaneBook } from './lanes/lane-book.ts';
import { laneCaps } from './lanes/lane-caps.ts';
import { Looks } from './looks.ts';
import { RoomForLanes } from './room-for-lanes.ts';
import { openStoreTrust } from './store-trust.ts';
import { TakeLoop } from './take-loop.ts';

/** A lane with jobs of this worker must stay among the active lanes; a note lasts a minute. */
const NOTE_MS = 10_000;

export type Intake = Awaited<ReturnType<typeof startIntake>>;

/** Resolves once bells are heard; the first jobs may have been taken by then. Rejects like `QueueStore.listen`. */
export async function startIntake(given: IntakeOptions) {
  let isClosed = false;
  const onError = (error: unknown, lane?: Lane): void => {
    // A look may outlive the intake, and then the store.
    if (isClosed && hasCode(error, 'ERR_STACKSHIM_STORE_CLOSED')) return;
    given.onError?.(error, lane);
  };
  const options = { ...given, onError };
  const parts = joinParts(options);
  const { book, loop, rooms, trust } = parts;
  const unlisten = await listen(options, parts);
  const unwatch = options.budget.watch(() => loop.look());
  const stopLooking = startLooks(options, parts);
  const noting = repeat(NOTE_MS, () => noteActive(options, book));
  const stopTaking = async () => {
    stopLooking();
    unwatch();
    await loop.stop();
    rooms.close();
    trust.close();
  };
  return {
    /** Takes no further job: `handle` is not called after this resolves. Later replies are handed back. A second call does the same. */
    stopTaking,
    /** Resolves once all taken jobs have ended and none is being taken. Call `stopTaking` first. */
    idle: () => loop.idle(),
    /** The number of lanes that may have jobs. */
    lanes: () => book.size,
    /** Ends everything except the jobs in `handle`. Never rejects. */
    async close() {
      isClosed = true;
      await stopTaking();
      clearInterval(noting);
      book.close();
      unlisten();
    },
  };
}

type Parts = ReturnType<typeof joinParts>;

function joinParts(options: IntakeOptions) {
  const { store, clock, onError = () => undefined } = options;
  const pace = { ...USUAL_PACE, ...options.pace };
  const weights = new Map(options.queues.map(({ name, weight }) => [name, weight]));
  const book = new LaneBook({
    weightOfQueue: (queue) => weights.get(queue),
    termsOf: options.policyOf,
    startTimer,
    onReady: () => loop.look(),
  });
  const looks = new Looks({
    ...{ store, clock, onError, queues: [...weights.keys()] },
    onLooked: () => loop.begin(),
    stateOf: (lane) => book.find(lane),
    onFound(lane, afterMs) {
      if (afterMs > 0) book.expect(lane, afterMs);
      else book.wake(lane);
    },
  });
  const rooms = new RoomForLanes(options, pace);
  const ensureCap = laneCaps(store, clock);
  const storeNowMs = () => looks.storeNowMs();
  const trust = openStoreTrust({
    ...{ store, lockMs: options.lockMs, monotonicMs: clock.monotonicMs },
    onHold: (holdMs) => options.onHold?.(holdMs),
    onTrust: () => loop.look(),
    onError: (error) => onError(error, undefined),
  });
  const loop: TakeLoop = new TakeLoop(options, { book, ensureCap, rooms, trust, storeNowMs });
  return { pace, book, looks, rooms, loop, trust };
}

async function listen(
  options: IntakeOptions,
  { book, looks, loop, trust }: Parts,
): Promise<() => void> {
  const queues = options.queues.map(({ name }) => name);
  return await options.store.listen(queues, {
    onBell: (lane) => book.wake(lane),
    onCancel: (lane, id) => options.onCancel?.(lane, id),
    onGap() {
      trust.doubt();
      void looks.look('whole');
      options.onGap?.();
    },
    onReachable(isReachable) {
      if (!isReachable) trust.doubt();
      loop.setReachable(isReachable);
      options.onReachable?.(isReachable);
    },
    onSkew: (skewMs) => options.onSkew?.(skewMs),
  });
}

/** Starts the first looks and the periodic ones. Returns a function that ends them. */
function startLooks(options: IntakeOptions, { pace, looks, loop }: Parts): () => void {
  const timers = [
    repeat(pace.recentLookMs, () => looks.look('recent')),
    repeat(pace.wholeLookMs, () => looks.look('whole')),
    repeat(options.stalledLookMs, () => looks.lookForStalled()),
  ];
  const first = setTimeout(() => loop.begin(), pace.firstLookMs);
  void looks.look('whole');
  void looks.lookForStalled();
  return () => {
    clearTimeout(first);
    for (const timer of timers) clearInterval(timer);
    looks.close();
  };
}

/** Calls `work` at this interval, but skips a call while the previous one is pending. `work` must not reject. */
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
