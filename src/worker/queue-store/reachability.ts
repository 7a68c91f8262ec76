/** Watches by a small periodic request whether a store answers and whether its clock agrees, and reports each change. */
import { within } from '../../core/pause.ts';
import type { StoreListeners } from './queue-store.ts';
import { MOST_SKEW_MS, measureSkew } from './skew.ts';

type Watcher = Pick<StoreListeners, 'onReachable' | 'onSkew'>;

export type Reachability = ReturnType<typeof watchReachability>;

export interface ReachabilityOptions {
  /** Resolves to the server's time in milliseconds. Rejects or never settles while the store does not answer. */
  ask(): Promise<number>;
  /** Called after {@link SILENT_MS} without an answer: the connection may be dead although nobody closed it. */
  reconnect(): void;
}

const ASK_EVERY_MS = 2000;
/** A store that takes longer to answer is reported as unreachable. */
const LATE_MS = 2000;
/** Longer than a pause of the server that its connections survive: a new connection sends everything again. */
const SILENT_MS = 30_000;

/** Starts to ask when the first watcher is added. Does not keep the process alive. */
export function watchReachability(options: ReachabilityOptions) {
  const watchers = new Set<Watcher>();
  let [isReachable, isSkewed, isClosed, isAsking] = [true, false, false, false];
  let answeredAt = performance.now();
  const note = (isUp: boolean) => {
    if (isUp) answeredAt = performance.now();
    if (isUp === isReachable || isClosed) return;
    isReachable = isUp;
    for (const watcher of watchers) watcher.onReachable?.(isUp);
  };
  const noteSkew = (skewMs: number) => {
    const wasSkewed = isSkewed;
    isSkewed = Math.abs(skewMs) > MOST_SKEW_MS;
    if (!isSkewed || wasSkewed || isClosed) return;
    for (const watcher of watchers) watcher.onSkew?.(skewMs);
  };
  const askOnce = async (): Promise<true> => {
    const skewMs = await measureSkew(options.ask).catch(() => undefined);
    note(skewMs !== undefined);
    if (skewMs !== undefined) noteSkew(skewMs);
    return true;
  };
  const ask = async () => {
    if ((await within(askOnce(), LATE_MS)) !== true) note(false);
    if (performance.now() - answeredAt < SILENT_MS) return;
    answeredAt = performance.now();
    options.reconnect();
  };
  const askOnAndOn = async () => {
    while (!isClosed && watchers.size > 0) {
      await ask();
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS).unref());
    }
    isAsking = false;
  };
  return {
    /** Call this after an answer (true) or a failure (false). */
    note,
    /** Calls the watcher at each change from now on. Returns a function that removes it. */
    watch(watcher: Watcher) {
      watchers.add(watcher);
      if (!isAsking) {
        isAsking = true;
        answeredAt = performance.now();
        void askOnAndOn();
      }
      return () => watchers.delete(watcher);
    },
    close() {
      isClosed = true;
      watchers.clear();
    },
  };
}
